//! A connection whose peer must keep moving.
//!
//! `actix-http` times only the first head of a connection. Under it lies this, which sees octets and no requests: it
//! gives the peer a bounded time to send each request and to take each part of an answer.

use std::cell::Cell;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From the first octet of a request until the answer begins, and for each part of an answer to be taken.
    pub(super) within: Duration,
    /// Saying nothing after an answer. Longer than the server's own keep-alive time, which is not kept for a peer that
    /// sent the beginning of a next request together with the last one: the server takes it from its own buffer, and
    /// here nothing arrives.
    pub(super) idle: Duration,
}

/// A stream that fails with [`ErrorKind::TimedOut`] when its peer sends or reads too slowly.
#[derive(Debug)]
pub(super) struct Deadlines<S> {
    inner: S,
    limits: Limits,
    peer: Peer,
    patience: Patience,
    reading: Alarm,
    /// By when the peer must take something; set while it takes nothing.
    take_by: Option<Instant>,
    /// The same for what the inner stream holds back itself. A socket holds back nothing, so that flushing it says
    /// nothing about the peer.
    flush_by: Option<Instant>,
    writing: Alarm,
}

/// More time for one answer, for a handler that waits for something on purpose. The peer has sent its request by then,
/// so it gains nothing.
#[derive(Debug, Clone, Default)]
pub(super) struct Patience(Rc<Cell<Duration>>);

impl Patience {
    /// Gives the handler that much more time until its answer begins.
    pub(super) fn extend(&self, span: Duration) {
        self.0.set(span);
    }

    fn span(&self) -> Duration {
        self.0.get()
    }
}

/// What the peer does.
#[derive(Debug, Clone, Copy)]
enum Peer {
    /// Nothing has arrived since the last write.
    Idle,
    /// The same, and the silence was noticed; it must end by then.
    Silent(Instant),
    /// Something has arrived and the answer has not begun; it must begin by then.
    Sending(Instant),
}

impl<S> Deadlines<S> {
    pub(super) fn new(inner: S, limits: Limits) -> Self {
        Self {
            inner,
            limits,
            peer: Peer::Idle,
            patience: Patience::default(),
            reading: Alarm::default(),
            take_by: None,
            flush_by: None,
            writing: Alarm::default(),
        }
    }

    /// By which a handler can have more time for its answer.
    pub(super) fn patience(&self) -> Patience {
        self.patience.clone()
    }

    /// Octets have arrived.
    fn arrived(&mut self) -> io::Result<()> {
        match self.peer {
            // A peer that always has one more octet never comes to the alarm.
            Peer::Sending(until) if Instant::now() >= until + self.patience.span() => return Err(too_slow()),
            Peer::Sending(_) => {}
            Peer::Idle | Peer::Silent(_) => self.peer = Peer::Sending(Instant::now() + self.limits.within),
        }
        Ok(())
    }

    /// There is nothing to read: resolves when that has lasted too long.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.peer, Peer::Idle) {
            // Rings for a request that has been answered meanwhile. Only then is it worth asking what time it is.
            ready!(self.reading.poll_ring(cx));
            self.peer = Peer::Silent(Instant::now() + self.limits.idle);
        }
        match self.peer {
            Peer::Idle => Poll::Pending,
            Peer::Silent(until) => self.reading.poll_until(cx, until),
            Peer::Sending(until) => self.reading.poll_until(cx, until + self.patience.span()),
        }
    }

    /// Passes on how a write went.
    fn written(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match result {
            Poll::Pending => self.writing.poll_within(cx, &mut self.take_by, self.limits.within),
            Poll::Ready(Ok(1..)) => {
                self.take_by = None;
                self.peer = Peer::Idle;
                self.patience.extend(Duration::ZERO);
                result
            }
            Poll::Ready(_) => result,
        }
    }

    /// Passes on how a flush went.
    fn flushed(&mut self, cx: &mut Context<'_>, result: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if result.is_pending() {
            return self.writing.poll_within(cx, &mut self.flush_by, self.limits.within);
        }
        self.flush_by = None;
        result
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Deadlines<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        match Pin::new(&mut self.inner).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) if buffer.filled().len() > before => Poll::Ready(self.arrived()),
            Poll::Ready(ended) => Poll::Ready(ended),
            Poll::Pending => self.poll_silence(cx).map(|()| Err(too_slow())),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Deadlines<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write(cx, octets);
        self.written(cx, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.inner).poll_write_vectored(cx, parts);
        self.written(cx, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_flush(cx);
        self.flushed(cx, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.flushed(cx, result)
    }
}

fn too_slow() -> io::Error {
    ErrorKind::TimedOut.into()
}

/// A timer that is made when it is first needed. It may be set for an earlier time than asked for and is moved when it
/// rings: setting it for every request would cost more than a ring too many now and then.
#[derive(Debug, Default)]
struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Resolves when it is `until`.
    fn poll_until(&mut self, cx: &mut Context<'_>, until: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() > until {
            sleep.as_mut().reset(until);
        }
        ready!(sleep.as_mut().poll(cx));
        if sleep.deadline() < until {
            sleep.as_mut().reset(until);
            ready!(sleep.as_mut().poll(cx));
        }
        Poll::Ready(())
    }

    /// Fails when it is `until`, which is that long after the first time this is asked.
    fn poll_within<T>(
        &mut self,
        cx: &mut Context<'_>,
        until: &mut Option<Instant>,
        within: Duration,
    ) -> Poll<io::Result<T>> {
        let until = *until.get_or_insert_with(|| Instant::now() + within);
        self.poll_until(cx, until).map(|()| Err(too_slow()))
    }

    /// Resolves when it rings for whatever it was set; never, if it was not.
    fn poll_ring(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::{advance, timeout};

    use super::*;

    const LIMITS: Limits = Limits { within: Duration::from_secs(2), idle: Duration::from_secs(77) };
    const ROOM: usize = 64;

    fn connection() -> (Deadlines<DuplexStream>, DuplexStream) {
        let (server, peer) = duplex(ROOM);
        (Deadlines::new(server, LIMITS), peer)
    }

    /// What the next read gives, and after how long.
    async fn read(server: &mut Deadlines<DuplexStream>) -> (Result<usize, ErrorKind>, Duration) {
        let began_at = Instant::now();
        let mut buffer = [0; ROOM];
        let result = server.read(&mut buffer).await.map_err(|error| error.kind());
        (result, began_at.elapsed())
    }

    /// Whether nothing happens for that long.
    async fn is_quiet(server: &mut Deadlines<DuplexStream>, span: Duration) -> bool {
        timeout(span, read(server)).await.is_err()
    }

    /// A timer rings up to a millisecond late.
    fn assert_about(took: Duration, seconds: u64) {
        let expected = Duration::from_secs(seconds);
        assert!(took >= expected && took < expected + Duration::from_millis(10), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_says_nothing_is_left_to_others() {
        let (mut server, _peer) = connection();
        assert!(is_quiet(&mut server, Duration::from_secs(3_600)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_request_is_cut_on_every_request() {
        for answered in 0..3 {
            let (mut server, mut peer) = connection();
            for _ in 0..answered {
                peer.write_all(b"request").await.unwrap();
                assert_eq!(read(&mut server).await.0, Ok(7));
                assert!(is_quiet(&mut server, Duration::from_secs(1)).await);
                server.write_all(b"answer").await.unwrap();
                assert!(is_quiet(&mut server, Duration::from_secs(30)).await);
            }
            peer.write_all(b"req").await.unwrap();
            assert_eq!(read(&mut server).await.0, Ok(3));
            let (result, took) = read(&mut server).await;
            assert_eq!(result, Err(ErrorKind::TimedOut));
            assert_about(took, 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn octets_one_by_one_buy_no_time() {
        // With pauses in which the server waits, and without.
        for waits in [true, false] {
            let (mut server, mut peer) = connection();
            let began_at = Instant::now();
            let error = loop {
                peer.write_all(b"a").await.unwrap();
                if let (Err(error), _) = read(&mut server).await {
                    break error;
                }
                let pause = Duration::from_millis(100);
                if !waits {
                    advance(pause).await;
                } else if let Ok((Err(error), _)) = timeout(pause, read(&mut server)).await {
                    break error;
                }
            };
            assert_eq!(error, ErrorKind::TimedOut);
            assert_about(began_at.elapsed(), 2);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn each_request_has_the_whole_time() {
        let (mut server, mut peer) = connection();
        for _ in 0..50 {
            for _ in 0..3 {
                peer.write_all(b"third").await.unwrap();
                assert_eq!(read(&mut server).await.0, Ok(5));
                assert!(is_quiet(&mut server, Duration::from_millis(600)).await);
            }
            server.write_all(b"answer").await.unwrap();
            server.flush().await.unwrap();
            peer.read_exact(&mut [0; 6]).await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_beginning_that_came_with_the_last_request_is_not_held_for_ever() {
        let (mut server, mut peer) = connection();
        peer.write_all(b"request req").await.unwrap();
        assert_eq!(read(&mut server).await.0, Ok(11));
        assert!(is_quiet(&mut server, Duration::from_secs(1)).await);
        server.write_all(b"answer").await.unwrap();
        let (result, took) = read(&mut server).await;
        assert_eq!(result, Err(ErrorKind::TimedOut));
        assert_about(took, 1 + 77);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_cut_and_one_that_takes_little_is_not() {
        let (mut server, mut peer) = connection();
        let answer = [7; ROOM * 4];
        let reading = async {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_millis(1_500)).await;
                peer.read_exact(&mut [0; 10]).await.unwrap();
            }
            Instant::now()
        };
        let (written, last_taken_at) = tokio::join!(server.write_all(&answer), reading);
        assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_about(last_taken_at.elapsed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_flush_is_no_progress_of_the_peer() {
        let (mut server, _peer) = connection();
        server.write_all(&[7; ROOM]).await.unwrap();
        let began_at = Instant::now();
        let error = loop {
            match timeout(Duration::from_millis(100), server.write(b"more")).await {
                Ok(result) => break result.unwrap_err(),
                Err(_elapsed) => server.flush().await.unwrap(),
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_about(began_at.elapsed(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_waits_on_purpose_has_more_time_for_that_one_answer() {
        let (mut server, mut peer) = connection();
        for answered in 0..3 {
            peer.write_all(b"request").await.unwrap();
            assert_eq!(read(&mut server).await.0, Ok(7));
            if answered < 2 {
                server.patience().extend(Duration::from_secs(30));
                assert!(is_quiet(&mut server, Duration::from_secs(31)).await);
                server.write_all(b"answer").await.unwrap();
                assert!(is_quiet(&mut server, Duration::from_secs(30)).await);
            }
        }
        let (result, took) = read(&mut server).await;
        assert_eq!(result, Err(ErrorKind::TimedOut));
        assert_about(took, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn more_time_is_not_for_ever() {
        let (mut server, mut peer) = connection();
        peer.write_all(b"request").await.unwrap();
        assert_eq!(read(&mut server).await.0, Ok(7));
        server.patience().extend(Duration::from_secs(30));
        let (result, took) = read(&mut server).await;
        assert_eq!(result, Err(ErrorKind::TimedOut));
        assert_about(took, 32);
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_is_the_end() {
        let (mut server, mut peer) = connection();
        peer.write_all(b"req").await.unwrap();
        drop(peer);
        assert_eq!(read(&mut server).await.0, Ok(3));
        assert_eq!(read(&mut server).await.0, Ok(0));
    }
}
