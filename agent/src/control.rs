//! The socket through which commands reach the agent that runs: a JSON object a line, one request and one reply a
//! connection.
//!
//! The socket is 0600 in a 0700 folder, and whoever connects must also be this user or the superuser by the word of
//! the kernel.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quicopy_certs::StateDir;
use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::request::{Reply, Request};

/// The socket in the state folder.
const SOCKET_FILE: &str = "control.sock";
/// Longest request: some shares' names and a fingerprint.
const REQUEST_BYTES_MAX: u64 = 64 << 10;
/// Longest reply: a history of 1000 jobs with the longest names.
const REPLY_BYTES_MAX: u64 = 64 << 20;
/// A request is written at once; who takes longer is stuck.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time that an answer is waited for: counting or removing what is in a large trash takes its time.
const REPLY_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// Requests at once; more wait their turn.
const REQUESTS_MAX: usize = 8;
/// Longest path of a socket. Source: `sun_path` in `<sys/un.h>` of Linux has 108 bytes, one of them zero.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A socket's path short enough for the system, for as long as this lives.
struct SocketPath {
    path: PathBuf,
    // Open while the path goes through it.
    _folder: Option<std::os::fd::OwnedFd>,
}

impl SocketPath {
    /// A path that is too long goes through the process's own descriptor of the folder.
    fn of(folder: &Path) -> io::Result<Self> {
        let direct = folder.join(SOCKET_FILE);
        if direct.as_os_str().len() <= SOCKET_PATH_BYTES_MAX {
            return Ok(Self { path: direct, _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let held = rustix::fs::open(folder, flags, Mode::empty())?;
        let path = format!("/proc/self/fd/{}/{SOCKET_FILE}", held.as_raw_fd()).into();
        Ok(Self { path, _folder: Some(held) })
    }
}

/// The agent's end.
#[derive(Debug)]
pub struct ControlSocket {
    listener: UnixListener,
}

impl ControlSocket {
    /// Makes the socket. Only for who holds the state folder's lock: a socket that stands there is a dead agent's.
    ///
    /// # Errors
    /// The socket cannot be made.
    pub fn bind(dir: &StateDir) -> io::Result<Self> {
        let socket = SocketPath::of(dir.path())?;
        match std::fs::remove_file(&socket.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&socket.path)?;
        std::fs::set_permissions(&socket.path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener })
    }

    /// Answers requests with `answer`, until dropped.
    pub async fn serve<A, F>(self, answer: A)
    where
        A: Fn(Request) -> F + Clone + Send + 'static,
        F: Future<Output = Reply> + Send + 'static,
    {
        let mut conversations = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if conversations.len() < REQUESTS_MAX => match accepted {
                    Ok((stream, _)) => drop(conversations.spawn(converse(stream, answer.clone()))),
                    Err(error) => {
                        tracing::debug!(%error, "control socket");
                        // Out of descriptors, most likely: trying again at once would only burn the processor.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(ended) = conversations.join_next() => {
                    if let Ok(Err(error)) = ended {
                        tracing::debug!(%error, "control socket");
                    }
                }
            }
        }
    }
}

async fn converse<A, F>(mut stream: UnixStream, answer: A) -> io::Result<()>
where
    A: Fn(Request) -> F,
    F: Future<Output = Reply>,
{
    let user = stream.peer_cred()?.uid();
    if user != 0 && user != geteuid().as_raw() {
        return Err(io::Error::other(format!("user {user} has no business here")));
    }
    let (reading, mut writing) = stream.split();
    let mut line = String::new();
    let mut reading = tokio::io::BufReader::new(reading.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(REQUEST_TIMEOUT, reading.read_line(&mut line)).await??;
    let reply = match serde_json::from_str(&line) {
        Ok(request) => answer(request).await,
        Err(_) => Reply::Failed {
            reason:
                "the running agent does not understand this command; restart it, it may be older"
                    .into(),
        },
    };
    let mut text = serde_json::to_vec(&reply)?;
    text.push(b'\n');
    tokio::time::timeout(REQUEST_TIMEOUT, writing.write_all(&text)).await?
}

/// Has the agent that runs on `dir` carry out a request; `None` if none runs.
///
/// # Errors
/// There is a socket, but it may not be used, or the answer makes no sense.
pub fn ask(dir: &StateDir, request: &Request) -> io::Result<Option<Reply>> {
    let socket = SocketPath::of(dir.path())?;
    let mut stream = match BlockingStream::connect(&socket.path) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                // Never made, or left by an agent that was killed.
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
    };
    stream.set_read_timeout(Some(REPLY_TIMEOUT))?;
    let mut text = serde_json::to_vec(request)?;
    text.push(b'\n');
    stream.write_all(&text)?;
    let mut line = String::new();
    BufReader::new(stream.take(REPLY_BYTES_MAX)).read_line(&mut line)?;
    Ok(Some(serde_json::from_str(&line)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::state;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    /// What a client gets while a socket in `dir` answers every request with its debug text.
    fn check(dir: &StateDir, client: impl FnOnce() -> String + Send + 'static) -> String {
        runtime().block_on(async {
            let socket = ControlSocket::bind(dir).unwrap();
            let answer = |request| async move { Reply::Failed { reason: format!("{request:?}") } };
            tokio::select! {
                () = socket.serve(answer) => unreachable!("it serves until dropped"),
                got = tokio::task::spawn_blocking(client) => got.unwrap(),
            }
        })
    }

    #[test]
    fn a_request_goes_round() {
        let (_temp, dir) = state::tests::folder();
        let folder = dir.clone();
        let request = Request::Revoke { peer: "web\n01".into() };
        let sent = request.clone();
        let got = check(&dir, move || format!("{:?}", ask(&folder, &sent).unwrap().unwrap()));
        assert!(got.contains("Revoke"), "{got}");
        let mode = std::fs::metadata(dir.path().join(SOCKET_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(ask(&dir, &request).unwrap(), None, "a dead agent's socket is no agent");
    }

    #[test]
    fn a_state_folder_with_a_long_path_has_a_socket_too() {
        let temp = tempfile::tempdir().unwrap();
        let dir = StateDir::open_or_create(temp.path().join("x".repeat(200))).unwrap();
        let folder = dir.clone();
        let got = check(&dir, move || format!("{:?}", ask(&folder, &Request::Peers).unwrap()));
        assert!(got.contains("Peers"), "{got}");
    }

    #[test]
    fn what_is_no_request_gets_an_answer_too() {
        let (_temp, dir) = state::tests::folder();
        for text in ["\n", "{\"do\":\"format-disk\"}\n", "{}\n", "\u{0}\n"] {
            let path = dir.path().join(SOCKET_FILE);
            let got = check(&dir, move || {
                let mut stream = BlockingStream::connect(path).unwrap();
                stream.write_all(text.as_bytes()).unwrap();
                let mut line = String::new();
                BufReader::new(stream).read_line(&mut line).unwrap();
                line
            });
            assert!(got.contains("does not understand"), "{text:?}: {got}");
        }
    }

    #[test]
    fn without_an_agent_there_is_no_answer() {
        let (_temp, dir) = state::tests::folder();
        assert_eq!(ask(&dir, &Request::Peers).unwrap(), None);
    }
}
