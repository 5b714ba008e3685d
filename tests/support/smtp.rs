//! A mail server for tests: on loopback, it takes every mail and keeps it, or refuses as it is told.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// Longer than any mail takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mail as it came: whom the envelope names, and the message with its transfer encoding undone.
#[derive(Debug, Clone)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub message: String,
}

impl Mail {
    /// The value of a header; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let head = self.message.split("\r\n\r\n").next().unwrap();
        let line = head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then_some(value)
        });
        line.unwrap_or_default().trim()
    }

    pub fn text(&self) -> String {
        let body = self.message.split_once("\r\n\r\n").unwrap().1;
        if self.header("content-transfer-encoding").eq_ignore_ascii_case("quoted-printable") {
            unquoted(body)
        } else {
            body.to_owned()
        }
    }

    /// The one link in the text, without what stands before its path.
    pub fn path(&self, issuer: &str) -> String {
        let text = self.text();
        let link = text.lines().find(|line| line.starts_with(issuer)).unwrap_or_else(|| panic!("no link: {text}"));
        link.trim_start_matches(issuer).to_owned()
    }
}

fn unquoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut octets = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        if *first == b'=' {
            let hex = std::str::from_utf8(&after[..2]).unwrap();
            octets.push(u8::from_str_radix(hex, 16).unwrap());
            rest = &after[2..];
        } else {
            octets.push(*first);
            rest = after;
        }
    }
    String::from_utf8(octets).unwrap()
}

#[derive(Default)]
struct Inbox {
    mails: Mutex<Vec<Mail>>,
    /// Where each mail is put into a file as well.
    files: Option<PathBuf>,
    came: Condvar,
    refuses: AtomicBool,
    refused: AtomicUsize,
}

impl Inbox {
    fn take(&self, mail: Mail) {
        let mut mails = self.mails.lock().unwrap();
        if let Some(directory) = &self.files {
            let name = format!("{}-{}", mails.len() + 1, mail.to.join(","));
            // Whoever finds it finds all of it.
            let unfinished = directory.join(format!(".{name}"));
            fs::write(&unfinished, mail.text()).unwrap();
            fs::rename(unfinished, directory.join(name)).unwrap();
        }
        mails.push(mail);
        drop(mails);
        self.came.notify_all();
    }
}

/// A running mail server.
pub struct MailServer {
    pub url: String,
    inbox: Arc<Inbox>,
}

impl MailServer {
    pub fn start() -> Self {
        Self::serve(None)
    }

    /// Puts the text of each mail into a file of that directory, `1-ana@example.com`, for who is no part of this program.
    pub fn filing_into(directory: &Path) -> Self {
        Self::serve(Some(directory.to_owned()))
    }

    fn serve(files: Option<PathBuf>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("smtp://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let inbox = Arc::new(Inbox { files, ..Inbox::default() });
        let shared = inbox.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let inbox = shared.clone();
                thread::spawn(move || talk(stream, &inbox));
            }
        });
        Self { url, inbox }
    }

    /// Settings with which a server sends its mail here.
    pub fn settings(&self) -> [(&'static str, &str); 2] {
        [("smtp-url", &self.url), ("smtp-from", "Brevet <no-reply@brevet.example>")]
    }

    /// From now on every mail is refused, or taken again.
    pub fn refuse(&self, refuses: bool) {
        self.inbox.refuses.store(refuses, Ordering::SeqCst);
    }

    pub fn refused(&self) -> usize {
        self.inbox.refused.load(Ordering::SeqCst)
    }

    /// The first `count` mails, in the order in which they came.
    pub fn wait_for(&self, count: usize) -> Vec<Mail> {
        let mails = self.inbox.mails.lock().unwrap();
        let (mails, waited) = self.inbox.came.wait_timeout_while(mails, PATIENCE, |mails| mails.len() < count).unwrap();
        assert!(!waited.timed_out(), "{} mails came, not {count}", mails.len());
        mails.clone()
    }
}

fn talk(stream: TcpStream, inbox: &Inbox) {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut say = move |line: &str| drop(writer.write_all(format!("{line}\r\n").as_bytes()));
    let mut lines = BufReader::new(stream);
    let mut read = move || {
        let mut line = String::new();
        lines.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line)
    };
    let address = |line: &str| line.split_once('<').unwrap().1.split('>').next().unwrap().to_owned();
    say("220 test");
    let (mut from, mut to) = (String::new(), Vec::new());
    while let Some(line) = read() {
        match line.get(..4).unwrap_or_default() {
            "EHLO" | "HELO" => say("250 test"),
            "MAIL" => {
                from = address(&line);
                say("250 yes");
            }
            "RCPT" if inbox.refuses.load(Ordering::SeqCst) => {
                inbox.refused.fetch_add(1, Ordering::SeqCst);
                inbox.came.notify_all();
                say(&format!("451 not now, {}", address(&line)));
            }
            "RCPT" => {
                to.push(address(&line));
                say("250 yes");
            }
            "DATA" => {
                say("354 go on");
                let mut message = String::new();
                while let Some(line) = read().filter(|line| line != ".\r\n") {
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                inbox.take(Mail { from: from.clone(), to: std::mem::take(&mut to), message });
                say("250 taken");
            }
            "QUIT" => {
                say("221 bye");
                return;
            }
            _ => say("250 yes"),
        }
    }
}
