//! A small HTTP server whose answers can be wrong on purpose.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// Exactly the bytes that go over the wire before the connection is closed.
pub(crate) struct Answer(Vec<u8>);

impl Answer {
    pub(crate) fn whole(body: &[u8]) -> Answer {
        Answer::cut(body, body.len())
    }

    /// Announces all of `body`, sends its first `length` bytes and hangs up.
    pub(crate) fn cut(body: &[u8], length: usize) -> Answer {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        Answer([head.as_bytes(), &body[..length]].concat())
    }

    /// Sends `body` without saying how long it is.
    pub(crate) fn unannounced(body: &[u8]) -> Answer {
        Answer([b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", body].concat())
    }

    pub(crate) fn status(status: u16) -> Answer {
        let head = format!("HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        Answer(head.into_bytes())
    }
}

/// Listens on a free port of 127.0.0.1 until dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `answer` decides by the path that is asked for.
    pub(crate) fn start(answer: impl Fn(&str) -> Answer + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (requests, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, stopped) = (requests.clone(), stop.clone());
        let thread = thread::spawn(move || {
            for connection in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                // A client that hangs up early is no failure of the server's.
                let _ = connection.and_then(|c| serve(c, &answer, &counter));
            }
        });
        Server { address, requests, stop, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    mut connection: TcpStream,
    answer: &impl Fn(&str) -> Answer,
    requests: &AtomicUsize,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let Some(request) = lines.next().transpose()? else {
        return Ok(());
    };
    // The whole request is read, or closing the connection would reset it.
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let path = request.split(' ').nth(1).unwrap_or_default();
    connection.write_all(&answer(path).0)?;
    connection.shutdown(Shutdown::Both)
}
