//! Fake servers on free ports.

#![allow(dead_code, missing_docs, unreachable_pub, reason = "helpers of tests, of which each uses some")]
#![allow(clippy::unwrap_used, reason = "a fake that fails ends its test")]

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A request that the fake got: head and body.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Answers requests with the statuses of a list, then with 200. Status 0 is a connection that is cut.
#[derive(Clone, Debug)]
pub struct FakeWebhook {
    pub url: String,
    pub got: Arc<Mutex<Vec<Request>>>,
    answers: Arc<Mutex<Vec<&'static str>>>,
}

impl FakeWebhook {
    pub async fn start(answers: &[&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.iter().rev().copied().collect()));
        let fake = Self { url, got: Arc::default(), answers };
        let served = fake.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let fake = served.clone();
                tokio::spawn(async move { fake.answer(socket).await });
            }
        });
        fake
    }

    async fn answer(&self, socket: TcpStream) {
        let mut socket = BufReader::new(socket);
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await.unwrap_or(0) == 0 || line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        self.got.lock().unwrap().push(Request { head, body: String::from_utf8(body).unwrap() });
        let answer = self.answers.lock().unwrap().pop().unwrap_or("200 OK\r\n");
        if answer != "cut" {
            let text = format!("HTTP/1.1 {answer}Content-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = socket.write_all(text.as_bytes()).await;
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.got.lock().unwrap().clone()
    }
}

/// A mail server without TLS that keeps the mails.
#[derive(Clone, Debug)]
pub struct FakeSmtp {
    pub url: String,
    pub mails: Arc<Mutex<Vec<String>>>,
}

impl FakeSmtp {
    pub async fn start(refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let fake = Self { url: format!("smtp://{}", listener.local_addr().unwrap()), mails: Arc::default() };
        let mails = fake.mails.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let mails = mails.clone();
                tokio::spawn(async move {
                    let _ = converse(socket, &mails, refusal).await;
                });
            }
        });
        fake
    }
}

async fn converse(socket: TcpStream, mails: &Mutex<Vec<String>>, refusal: Option<&str>) -> std::io::Result<()> {
    let mut socket = BufReader::new(socket);
    socket.write_all(b"220 fake ESMTP\r\n").await?;
    loop {
        let mut line = String::new();
        if socket.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.get(..4).map(str::to_ascii_uppercase).as_deref() {
            Some("EHLO") => "250-fake\r\n250 8BITMIME\r\n".to_owned(),
            Some("MAIL") if refusal.is_some() => format!("{}\r\n", refusal.unwrap()),
            Some("DATA") => {
                socket.write_all(b"354 go on\r\n").await?;
                let mut mail = String::new();
                loop {
                    let mut line = String::new();
                    socket.read_line(&mut line).await?;
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                mails.lock().unwrap().push(mail);
                "250 kept\r\n".to_owned()
            }
            Some("QUIT") => {
                socket.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => "250 fine\r\n".to_owned(),
        };
        socket.write_all(answer.as_bytes()).await?;
    }
}
