//! The load: one thread, many keep-alive connections, each sending its next request when the last one is answered.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use crate::Result;

/// A server that answers nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(20);

/// Open connections to one server.
pub(crate) struct Load {
    runtime: Runtime,
    connections: Vec<Connection>,
    /// The request that is sent next; it goes on from round to round.
    next: Cell<usize>,
}

/// When a round is over.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// So many requests were sent.
    Count(usize),
    /// So much time went by.
    Time(Duration),
}

/// What a round brought.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) answers: u32,
    pub(crate) took: Duration,
    pub(crate) latencies: Vec<Duration>,
}

impl Load {
    pub(crate) fn open(address: SocketAddr, connections: usize) -> Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let connections = runtime.block_on(try_join_all((0..connections).map(|_| Connection::open(address))))?;
        Ok(Self { runtime, connections, next: Cell::new(0) })
    }

    /// Sends the requests in turn, over and over. Every answer must be 200; `on_body` sees each body.
    pub(crate) fn round(&mut self, requests: &[Vec<u8>], until: Until, on_body: impl FnMut(&[u8])) -> Result<Round> {
        let began = Instant::now();
        let left = Cell::new(match until {
            Until::Count(count) => count,
            Until::Time(_) => usize::MAX,
        });
        let end = match until {
            Until::Count(_) => None,
            Until::Time(span) => Some(began + span),
        };
        let (next, on_body) = (&self.next, RefCell::new(on_body));
        let latencies = RefCell::new(Vec::with_capacity(1 << 16));
        let drive = |connection| {
            let (left, on_body, latencies) = (&left, &on_body, &latencies);
            async move {
                let connection: &mut Connection = connection;
                while left.get() > 0 && end.is_none_or(|end| Instant::now() < end) {
                    left.set(left.get() - 1);
                    let request = requests.get(next.get() % requests.len().max(1)).ok_or("no requests")?;
                    next.set(next.get().wrapping_add(1));
                    let sent = Instant::now();
                    let body = connection.exchange(request).await?;
                    latencies.borrow_mut().push(sent.elapsed());
                    on_body.borrow_mut()(body);
                }
                Result::Ok(())
            }
        };
        self.runtime.block_on(async {
            let all = try_join_all(self.connections.iter_mut().map(drive));
            match until {
                Until::Count(_) => all.await,
                Until::Time(span) => timeout(span + SILENCE, all).await?,
            }
        })?;
        let latencies = latencies.into_inner();
        Ok(Round { answers: u32::try_from(latencies.len())?, took: began.elapsed(), latencies })
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    async fn open(address: SocketAddr) -> Result<Self> {
        let stream = timeout(SILENCE, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads the whole answer, which must be 200.
    async fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let mut head = None;
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed a connection".into());
            }
            if head.is_none() {
                head = read_head(&self.buffer)?;
            }
            let Some(head) = head else { continue };
            let length = head.length + head.content_length;
            if self.buffer.len() >= length {
                let body = self.buffer.get(head.length..length).unwrap_or_default();
                if head.status != 200 {
                    let body = String::from_utf8_lossy(body);
                    return Err(format!("the server answered {}: {body}", head.status).into());
                }
                return Ok(body);
            }
        }
    }
}

/// What a client needs to know of the head of an answer.
#[derive(Clone, Copy)]
struct Head {
    status: u16,
    /// Of the head itself, with the empty line.
    length: usize,
    content_length: usize,
}

/// Reads a head; nothing while it is not there as a whole.
fn read_head(octets: &[u8]) -> Result<Option<Head>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = octets.windows(END.len()).position(|window| window == END) else {
        return Ok(None);
    };
    let text = std::str::from_utf8(octets.get(..end).unwrap_or_default())?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let content_length = lines
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.parse().ok());
    match (status, content_length) {
        (Some(status), Some(content_length)) => Ok(Some(Head { status, length: end + END.len(), content_length })),
        _ => Err(format!("the server answered with a head that this client does not read: {text}").into()),
    }
}
