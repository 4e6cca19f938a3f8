//! A static file server for the built page, on loopback only.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use tiny_http::{Header, Method, Request, Server, StatusCode};

/// Enough for a browser's six connections a host to make progress while a model streams.
const N_WORKERS: usize = 6;

/// What stands in place of a file that is not there.
const NOT_FOUND: &[u8] = b"not found\n";

/// What a host should send beside the page's policy; docs/trust.md tells people to.
pub const HEADERS: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    (
        "Permissions-Policy",
        "camera=(), microphone=(), geolocation=()",
    ),
];

/// How a host treats the page that it serves.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Its `Content-Security-Policy`; `None` sends the one that the page itself states.
    pub policy: Option<String>,
    /// Ends of the names of files that did not get there.
    pub absent: Vec<String>,
    /// What it answers where there is no file.
    pub missing: Missing,
}

/// What a host answers where there is no file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Missing {
    /// Status 404.
    #[default]
    NotFound,
    /// `index.html` with status 200, as hosts made for pages that route by themselves do.
    Index,
}

/// A running server; it stops when dropped.
pub struct StaticServer {
    server: Arc<Server>,
    workers: Vec<JoinHandle<()>>,
    url: String,
}

impl StaticServer {
    /// Serves `folder` at `http://127.0.0.1:{port}{mount}` as `host` would; port 0 takes any free
    /// one.
    ///
    /// `mount` starts and ends with a slash: a mount other than `/` shows that the page works
    /// under a sub-path, as it does on most static hosts.
    pub fn start(folder: &Path, port: u16, mount: &str, host: Host) -> Result<Self> {
        ensure!(
            mount.starts_with('/') && mount.ends_with('/'),
            "expected a mount that starts and ends with '/', found {mount:?}"
        );
        let index = folder.join("index.html");
        let page = std::fs::read_to_string(&index).map_err(|_| {
            let index = index.display();
            anyhow!("expected a built page at {index}, found none: run `cargo xtask dist`")
        })?;
        let policy = match &host.policy {
            Some(policy) => policy,
            None => policy_of(&page)
                .with_context(|| format!("expected a policy in {}, found none", index.display()))?,
        };
        let policy = Header::from_bytes("Content-Security-Policy", policy)
            .map_err(|()| anyhow!("expected a policy in ASCII, found {policy:?}"))?;
        let server = Server::http(("127.0.0.1", port))
            .map_err(|error| anyhow!("cannot listen on 127.0.0.1:{port}: {error}"))?;
        let address = server
            .server_addr()
            .to_ip()
            .context("expected an IP address to listen on")?;
        let server = Arc::new(server);
        let site = Arc::new(Site {
            folder: folder.to_owned(),
            mount: mount.to_owned(),
            host,
            policy,
        });
        let workers = (0..N_WORKERS)
            .map(|_| {
                let (server, site) = (server.clone(), site.clone());
                std::thread::spawn(move || {
                    // `recv` fails once the server is unblocked for good: then the worker ends.
                    while let Ok(request) = server.recv() {
                        site.respond(request);
                    }
                })
            })
            .collect();
        Ok(Self {
            server,
            workers,
            url: format!("http://{address}{mount}"),
        })
    }

    /// The address of the page, with a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Serves until the program is ended.
    pub fn run_forever(mut self) {
        for worker in std::mem::take(&mut self.workers) {
            // A worker that panicked leaves the others serving.
            let _ = worker.join();
        }
    }
}

impl Drop for StaticServer {
    fn drop(&mut self) {
        for _ in 0..N_WORKERS {
            self.server.unblock();
        }
    }
}

/// What is served, and how.
struct Site {
    folder: PathBuf,
    mount: String,
    host: Host,
    policy: Header,
}

impl Site {
    fn respond(&self, request: Request) {
        // A visitor who hung up is no fault of the server's.
        let _ = self.answer(request);
    }

    /// Answers a request and asks the browser to end the connection: `tiny_http` reads every open
    /// connection on a thread of its own, and of two that open at once it may leave one without a
    /// thread until another one ends. A browser keeps six open.
    fn answer(&self, request: Request) -> io::Result<()> {
        let is_read = matches!(request.method(), Method::Get | Method::Head);
        let has_body = *request.method() != Method::Head;
        let file = self.file(request.url()).filter(|_| is_read);
        let found = file.and_then(|path| Some((File::open(&path).ok()?, content_type(&path))));
        let (status, content_type) = match &found {
            Some((_, content_type)) => (StatusCode(200), *content_type),
            None if is_read => (StatusCode(404), "text/plain; charset=utf-8"),
            None => (StatusCode(405), "text/plain; charset=utf-8"),
        };
        let (mut body, n_bytes): (Box<dyn Read>, u64) = match found {
            Some((file, _)) => {
                let n_bytes = file.metadata()?.len();
                (Box::new(file), n_bytes)
            }
            None => (Box::new(NOT_FOUND), NOT_FOUND.len() as u64),
        };
        let mut writer = request.into_writer();
        let reason = status.default_reason_phrase();
        write!(
            writer,
            "HTTP/1.1 {} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {n_bytes}\r\n\
             {}: {}\r\n",
            status.0, self.policy.field, self.policy.value
        )?;
        for (name, value) in HEADERS {
            write!(writer, "{name}: {value}\r\n")?;
        }
        // A rebuilt page must never meet a model or a module of the build before.
        write!(
            writer,
            "Cache-Control: no-cache\r\nConnection: close\r\n\r\n"
        )?;
        if has_body {
            io::copy(&mut body, &mut writer)?;
        }
        writer.flush()
    }

    /// The file that answers a request, if one does.
    fn file(&self, url: &str) -> Option<PathBuf> {
        let path = path_of_url(url, &self.mount)?;
        let file = self.folder.join(path);
        let is_absent = self.host.absent.iter().any(|end| path.ends_with(end));
        if file.is_file() && !is_absent {
            return Some(file);
        }
        let index = self.folder.join("index.html");
        (path.is_empty() || self.host.missing == Missing::Index).then_some(index)
    }
}

/// The path below the mount that a request names, or nothing when it leads out of it.
fn path_of_url<'a>(url: &'a str, mount: &str) -> Option<&'a str> {
    let path = url.split(['?', '#']).next()?.strip_prefix(mount)?;
    let mut parts = Path::new(path).components();
    let stays_inside = parts.all(|part| matches!(part, Component::Normal(_)));
    stays_inside.then_some(path)
}

/// The policy that a page states in its head.
fn policy_of(page: &str) -> Option<&str> {
    let (_, after) = page.split_once("http-equiv=\"Content-Security-Policy\" content=\"")?;
    Some(after.split_once('"')?.0)
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("woff2") => "font/woff2",
        Some("txt" | "md") => "text/plain; charset=utf-8",
        // Checkpoints (`.safetensors`) among them.
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpStream;

    const POLICY: &str = "default-src 'self'";

    fn folder_with_page(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("xtask-server-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("models")).unwrap();
        let page = format!(
            "<meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\"><p>page</p>"
        );
        std::fs::write(folder.join("index.html"), page).unwrap();
        std::fs::write(folder.join("page_bg.wasm"), b"\0asm").unwrap();
        std::fs::write(folder.join("models/index.json"), "[]").unwrap();
        folder
    }

    fn get(server: &StaticServer, path: &str) -> String {
        let host = server.url()["http://".len()..].split('/').next().unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n"
        )
        .unwrap();
        let answer = answer_of(&mut stream);
        let closes = answer.contains("\r\nConnection: close\r\n");
        assert!(closes, "every connection ends with its answer: {answer}");
        answer
    }

    /// All of an answer, by the length that it announces.
    fn answer_of(stream: &mut TcpStream) -> String {
        let mut answer = String::new();
        let mut piece = [0; 4096];
        loop {
            let n_read = stream.read(&mut piece).unwrap();
            answer += &String::from_utf8_lossy(&piece[..n_read]);
            let length = |head: &str| -> Option<usize> {
                head.split_once("Content-Length: ")?
                    .1
                    .lines()
                    .next()?
                    .parse()
                    .ok()
            };
            let whole = answer
                .split_once("\r\n\r\n")
                .is_some_and(|(head, body)| length(head).is_some_and(|n| body.len() >= n));
            if whole || n_read == 0 {
                return answer;
            }
        }
    }

    fn check(server: &StaticServer, path: &str, expect_status: &str, expect_type: &str) {
        let answer = get(server, path);
        let status = answer.split(' ').nth(1).unwrap_or_default();
        assert_eq!(status, expect_status, "{path}: {answer}");
        let content_type = format!("Content-Type: {expect_type}");
        assert!(answer.contains(&content_type), "{path}: {answer}");
    }

    #[test]
    fn serves_files_with_their_types_under_the_mount() {
        let folder = folder_with_page("types");
        let server = StaticServer::start(&folder, 0, "/class/a/", Host::default()).unwrap();
        for (path, expect_status, expect_type) in [
            ("/class/a/", "200", "text/html"),
            ("/class/a/index.html?x=1", "200", "text/html"),
            ("/class/a/page_bg.wasm", "200", "application/wasm"),
            ("/class/a/models/index.json", "200", "application/json"),
            ("/class/a/models/missing.json", "404", "text/plain"),
            ("/class/a/models/", "404", "text/plain"),
            ("/index.html", "404", "text/plain"),
        ] {
            check(&server, path, expect_status, expect_type);
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn hosts_differ_in_policy_and_in_what_is_missing() {
        let folder = folder_with_page("hosts");
        let start = |host| StaticServer::start(&folder, 0, "/", host).unwrap();
        let plain = start(Host::default());
        let stated = format!("Content-Security-Policy: {POLICY}\r\n");
        assert!(get(&plain, "/").contains(&stated));
        let other = start(Host {
            policy: Some("script-src 'none'".into()),
            absent: vec!["models/index.json".into()],
            missing: Missing::Index,
        });
        assert!(get(&other, "/").contains("Content-Security-Policy: script-src 'none'\r\n"));
        check(&other, "/models/index.json", "200", "text/html");
        check(&other, "/models/no-such.json", "200", "text/html");
        check(&other, "/../index.html", "404", "text/plain");
        std::fs::remove_dir_all(folder).unwrap();
    }

    /// What people are told to send is what the tests in browsers are served with.
    #[test]
    fn the_documented_headers_are_those_that_are_sent() {
        let read = |file: &str| {
            let path = crate::workspace::root().join(file);
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
        };
        let (page, document) = (read("web/index.html"), read("docs/trust.md"));
        let policy = policy_of(&page).expect("the page states a policy");
        let mut lines = vec![format!("Content-Security-Policy: {policy}")];
        lines.extend(HEADERS.map(|(name, value)| format!("{name}: {value}")));
        let expected = format!("```\n{}\n```", lines.join("\n"));
        assert!(document.contains(&expected), "expected {expected}");
    }

    #[test]
    fn stays_inside_the_folder() {
        for url in ["/../index.html", "/a/../../index.html", "//etc/passwd"] {
            assert_eq!(path_of_url(url, "/"), None, "{url}");
        }
        assert_eq!(path_of_url("/a/index.json?x", "/"), Some("a/index.json"));
        assert_eq!(path_of_url("/index.json", "/class/"), None);
    }

    #[test]
    fn an_unbuilt_page_is_named() {
        let folder = std::env::temp_dir().join("xtask-server-that-is-not-there");
        let error = StaticServer::start(&folder, 0, "/", Host::default())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("cargo xtask dist"), "{error}");
    }
}
