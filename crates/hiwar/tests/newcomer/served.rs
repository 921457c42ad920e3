//! A small HTTP server for participants with software of their own: one request a connection.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

/// What is answered: status, further header lines, body.
pub(crate) type Answer = (u16, &'static str, String);

/// Serves until the test ends. `answer` is given the head and the body of each request.
pub(crate) fn serve(listener: TcpListener, answer: impl Fn(&str, &str) -> Answer + Send + 'static) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            drop(exchange(stream, &answer));
        }
    });
}

fn exchange(mut stream: TcpStream, answer: &impl Fn(&str, &str) -> Answer) -> std::io::Result<()> {
    let mut seen = Vec::new();
    let mut part = [0; 8192];
    let (head, body) = loop {
        let count = stream.read(&mut part)?;
        seen.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&seen).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = header(head, "content-length").and_then(|v| v.parse().ok()).unwrap_or(0);
            if body.len() >= length || count == 0 {
                break (head.to_owned(), body.to_owned());
            }
        } else if count == 0 {
            return Ok(());
        }
    };
    let (status, more, out) = answer(&head, &body);
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{more}Content-Length: {}\r\nConnection: close\r\n\r\n{out}",
        out.len()
    )
}

/// A header of a request or an answer.
pub(crate) fn header(head: &str, name: &str) -> Option<String> {
    let fits = |line: &str| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    head.lines().find_map(fits)
}
