// std alone: a TcpStream, thread::sleep, and a Condvar every other time.
use std::io::{Read, Write};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

fn main() {
    let base = std::env::var("OPENAI_BASE_URL").unwrap();
    let rest = base.trim_start_matches("http://");
    let (host, path) = rest.split_at(rest.find('/').unwrap());
    let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#;
    let mutex = Mutex::new(());
    let condition = Condvar::new();
    for attempt in 0.. {
        let mut stream = std::net::TcpStream::connect(host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(100000))).unwrap();
        write!(
            stream,
            "POST {path}/chat/completions HTTP/1.1\r\nHost: {host}\r\n\
             Authorization: Bearer sk-test\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        if answer.starts_with("HTTP/1.1 200") {
            return;
        }
        let lower = answer.to_lowercase();
        let after = lower.split("retry-after: ").nth(1).unwrap();
        let wait = Duration::from_secs(after.lines().next().unwrap().trim().parse().unwrap());
        if attempt % 2 == 0 {
            std::thread::sleep(wait);
        } else {
            let guard = mutex.lock().unwrap();
            let _unused = condition.wait_timeout(guard, wait).unwrap();
        }
    }
}
