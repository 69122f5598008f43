//! A program at work, and what it leaves when it ends.

use std::{
    fmt,
    io::Read,
    mem,
    os::unix::process::ExitStatusExt,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::{
    json::{self, Summary},
    poll::happens_within,
};

/// A program at work. Dropped, it is killed.
#[derive(Debug)]
pub struct Running {
    command: String,
    child: Child,
    stdout: Captured,
    stderr: Captured,
}

impl Running {
    /// Starts `command` with nothing to read and its output captured.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let stdout = Captured::new(child.stdout.take().expect("stdout is piped above"));
        let stderr = Captured::new(child.stderr.take().expect("stderr is piped above"));
        Self { command: format!("{command:?}"), child, stdout, stderr }
    }

    /// What it has written to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it is still at work.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to this program alone.
    pub fn signal(&self, signal: Signal) {
        // It may have ended in the meantime, and whoever waits for it will see how.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Kills it on the spot, and returns what it leaves.
    pub fn kill(self) -> Finished {
        self.signal(Signal::KILL);
        self.finish(Duration::from_secs(10))
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// When it is still at work after `limit`.
    pub fn finish(mut self, limit: Duration) -> Finished {
        assert!(
            happens_within(limit, || !self.is_running()),
            "{} still runs after {limit:?}\n{}{}",
            self.command,
            self.stdout(),
            self.stderr(),
        );
        let status = self.child.wait().expect("it has ended and was not waited for");
        Finished {
            command: mem::take(&mut self.command),
            status,
            stdout: self.stdout.whole_text(),
            stderr: self.stderr.whole_text(),
        }
    }
}

impl Drop for Running {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the programs said")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}\n--- stderr so far\n{}---", self.command, self.stderr());
        }
        // Both fail only if it has ended, which is what they are for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program left when it ended.
#[derive(Debug)]
pub struct Finished {
    /// How it was called.
    pub command: String,
    /// How it ended.
    pub status: ExitStatus,
    /// All of its standard output.
    pub stdout: String,
    /// All of its standard error.
    pub stderr: String,
}

impl Finished {
    /// Requires that it ended with one of these exit codes.
    ///
    /// # Panics
    ///
    /// With all of its output when it did not.
    #[track_caller]
    pub fn exits(&self, codes: &[i32]) -> &Self {
        assert!(
            self.status.code().is_some_and(|code| codes.contains(&code)),
            "exit code {codes:?} expected\n{self}"
        );
        self
    }

    /// Requires that it says `text` somewhere.
    ///
    /// # Panics
    ///
    /// With all of its output when it does not.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Self {
        assert!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "it should say {text:?}\n{self}"
        );
        self
    }

    /// Requires that it says `text` nowhere.
    ///
    /// # Panics
    ///
    /// With all of its output when it does.
    #[track_caller]
    pub fn hides(&self, text: &str) -> &Self {
        assert!(
            !self.stdout.contains(text) && !self.stderr.contains(text),
            "it should not say {text:?}\n{self}"
        );
        self
    }

    /// Whether SIGKILL ended it.
    pub fn was_killed(&self) -> bool {
        self.status.signal() == Some(Signal::KILL.as_raw())
    }

    /// The summary that `--json` puts last.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[track_caller]
    pub fn summary(&self) -> Summary {
        match json::summary(&self.stdout) {
            Ok(summary) => summary,
            Err(reason) => panic!("no summary: {reason}\n{self}"),
        }
    }

    /// The last line of standard output, without the line's end.
    pub fn last_line(&self) -> &str {
        self.stdout.lines().last().unwrap_or_default()
    }
}

impl fmt::Display for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, status, stdout, stderr } = self;
        write!(f, "{command}\n{status}\n--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
    }
}

/// One output of a program, read as it comes so that the program never waits for us.
#[derive(Debug)]
struct Captured {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Captured {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut piece) {
                let mut bytes = shared.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&piece[..read]);
            }
        });
        Self { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The whole text, once the program has ended.
    fn whole_text(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            // It only reads and appends; should it panic, what it read so far is still there.
            let _ = reader.join();
        }
        self.text()
    }
}
