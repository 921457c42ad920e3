//! A person at a terminal: runs the `hiwar` command as it is typed and looks at what it prints.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::string_slice,
    dead_code,
    unused_imports,
    reason = "each test file uses another part of this module, and stops where it cannot go on"
)]

pub(crate) mod authority;
pub(crate) mod company;
pub(crate) mod ministries;
pub(crate) mod outsider;
pub(crate) mod served;

pub(crate) use ministries::Ministries;

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The command under test.
pub(crate) const HIWAR: &str = env!("CARGO_BIN_EXE_hiwar");
/// How long anything may take to become true.
pub(crate) const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 30 });

/// What a command printed and how it ended.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) args: String,
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Done {
    /// It ended with `code`.
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(
            self.code, code,
            "hiwar {}\n--- stdout\n{}\n--- stderr\n{}",
            self.args, self.out, self.err
        );
        self
    }

    /// It did what it should.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        self.ends_with(0)
    }

    /// It failed, and its error says all of `words`.
    #[track_caller]
    pub(crate) fn refused(self, words: &[&str]) -> Self {
        let done = self.ends_with(1);
        for word in words {
            assert!(
                done.err.contains(word),
                "hiwar {}: the error does not say {word:?}:\n{}",
                done.args,
                done.err
            );
        }
        done
    }

    /// It printed all of `facts` on standard output.
    #[track_caller]
    pub(crate) fn shows(self, facts: &[&str]) -> Self {
        for fact in facts {
            assert!(
                self.out.contains(fact),
                "hiwar {}: the output does not show {fact:?}:\n{}",
                self.args,
                self.out
            );
        }
        self
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|e| panic!("hiwar {}: no JSON ({e}):\n{}", self.args, self.out))
    }

    /// Its standard output as one word, such as an identifier.
    pub(crate) fn word(&self) -> String {
        self.out.trim().to_owned()
    }
}

/// Somebody in a folder who types commands.
pub(crate) struct Newcomer {
    pub(crate) dir: tempfile::TempDir,
}

impl Newcomer {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// A path in their folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Changes one line of a node's configuration.
    #[track_caller]
    pub(crate) fn configure(&self, node: &str, field: &str, value: &str) {
        let path = self.path(node).join("hiwar.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let start = format!("{field} = ");
        let line = text.lines().find(|l| l.starts_with(&start)).unwrap();
        std::fs::write(&path, text.replace(line, &format!("{start}{value}"))).unwrap();
    }

    /// The command, not started yet.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(HIWAR);
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["HIWAR_NODE", "HIWAR_DESK", "HIWAR_TOKEN_FILE", "HIWAR_PASSPHRASE_FILE", "HIWAR_LOG"] {
            command.env_remove(name);
        }
        command.env("NO_COLOR", "1");
        if let Ok(level) = std::env::var("TEST_NODE_LOG") {
            command.env("HIWAR_LOG", level);
        }
        command
    }

    /// Types a command.
    pub(crate) fn hiwar(&self, args: &[&str]) -> Done {
        finish(self.command(args), args, None)
    }

    /// Types a command with HIWAR_NODE set, as after `export HIWAR_NODE=…`.
    pub(crate) fn at(&self, node: &str, args: &[&str]) -> Done {
        let mut command = self.command(args);
        command.env("HIWAR_NODE", node);
        finish(command, args, None)
    }

    /// Types a command and answers its question.
    pub(crate) fn answering(&self, args: &[&str], answer: &str) -> Done {
        finish(self.command(args), args, Some(answer))
    }

    /// Types `command > file`.
    #[track_caller]
    pub(crate) fn typed_into(&self, args: &[&str], file: &str) -> Done {
        let done = self.hiwar(args).ok();
        std::fs::write(self.path(file), &done.out).unwrap();
        done
    }

    /// Types `hiwar serve NODE &`.
    pub(crate) fn serve(&self, node: &str) -> Serving {
        self.serve_with(self.command(&["serve", node]), node)
    }

    /// Starts a `serve` command that was made ready before; waits until the node is ready.
    pub(crate) fn serve_with(&self, command: Command, node: &str) -> Serving {
        let mut serving = self.spawn(command, node);
        serving.wait_ready();
        serving
    }

    /// Starts a `serve` command that was made ready before.
    pub(crate) fn spawn(&self, mut command: Command, node: &str) -> Serving {
        let log = self.path(&format!("{node}.log"));
        let out = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(Stdio::null()).stderr(out).spawn().unwrap();
        Serving { child, log, api: api_address(&self.path(node)) }
    }
}

fn finish(mut command: Command, args: &[&str], answer: Option<&str>) -> Done {
    if answer.is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    if let (Some(answer), Some(mut stdin)) = (answer, child.stdin.take()) {
        // A command that asks nothing may have ended already.
        drop(stdin.write_all(answer.as_bytes()));
    }
    let output = child.wait_with_output().unwrap();
    Done {
        args: args.join(" "),
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// A request to a node's local API with the operator's token; the status and the answer.
#[track_caller]
pub(crate) fn api(dir: &Path, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
    let token = std::fs::read_to_string(dir.join("api.token")).unwrap();
    let (status, text) = request(api_address(dir), method, path, Some(token.trim()), body);
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// A plain request with nothing but the standard library; the status and the body.
#[track_caller]
pub(crate) fn request(
    address: SocketAddr,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: &[u8],
) -> (u16, String) {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    if let Some(token) = token {
        head.push_str(&format!("Authorization: Bearer {token}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // A node that refuses a large body may answer and close before it has read all of it.
    drop(stream.write_all(body));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, body.to_owned())
}

/// Where a node keeps the whole file with this digest.
pub(crate) fn whole_file(dir: &Path, digest: &str) -> PathBuf {
    dir.join("attachments").join(&digest[..2]).join(digest)
}

/// Where the desks of the node in `dir` connect.
pub(crate) fn api_address(dir: &Path) -> SocketAddr {
    hiwar_node::config::Config::read(dir).unwrap().api_listen
}

/// A `hiwar serve` in the background; killed when dropped.
pub(crate) struct Serving {
    child: Child,
    pub(crate) log: PathBuf,
    pub(crate) api: SocketAddr,
}

impl Serving {
    /// Whether the node answers `path` with 200.
    pub(crate) fn answers(&self, path: &str) -> bool {
        get(self.api, path).is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    #[track_caller]
    pub(crate) fn wait_ready(&mut self) {
        let start = Instant::now();
        while !self.answers("/readyz") {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the node ended at its start ({status}):\n{}", self.log());
            }
            assert!(start.elapsed() < LIMIT, "the node did not become ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends it as `kill PID` does (SIGTERM); returns its exit code.
    pub(crate) fn stop(mut self) -> i32 {
        Command::new("kill").arg(self.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code().unwrap_or(-1)
    }

    /// Waits for it to end by itself; returns its exit code.
    pub(crate) fn ended(mut self) -> i32 {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < LIMIT, "the node did not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A plain GET with nothing but the standard library: head and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}

/// A free port whose successor is free as well, so that `init --listen` can put the desks there.
pub(crate) fn two_free_ports() -> u16 {
    hiwar::node_process::free_addresses().unwrap()[0].port()
}

/// Looks again and again until `done` is true.
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < LIMIT, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
