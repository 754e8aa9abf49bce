//! A plain HTTP/1.1 server, a thread for each connection: its own time is far below the
//! measurement.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A request with its whole body.
pub(crate) struct Request {
    /// Method and path.
    pub(crate) line: String,
    /// `x-amz-target`, or nothing.
    pub(crate) target: String,
    pub(crate) body: Vec<u8>,
}

/// A response, ready to be sent.
pub(crate) fn response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// Serves on a free port of loopback until the process ends.
pub(crate) fn serve(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = answer.clone();
            std::thread::spawn(move || converse(stream, &*answer));
        }
    });
    Ok(address)
}

/// Until the other side disconnects.
fn converse(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Vec<u8>) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::with_capacity(1 << 16, stream.try_clone().ok()?);
    loop {
        let request = read(&mut reader)?;
        stream.write_all(&answer(&request)).ok()?;
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut request = Request { line: String::new(), target: String::new(), body: vec![] };
    let mut length = 0;
    let mut line = String::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let text = line.trim_end();
        if text.is_empty() {
            break;
        }
        match text.split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some((name, value)) if name.eq_ignore_ascii_case("x-amz-target") => request.target = value.to_owned(),
            _ if request.line.is_empty() => request.line = text.to_owned(),
            _ => (),
        }
    }
    request.body.resize(length, 0);
    reader.read_exact(&mut request.body).ok()?;
    Some(request)
}
