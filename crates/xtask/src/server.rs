//! A static file server for the built page, on loopback only.

use std::fs::File;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::{Context, Result, anyhow, ensure};
use tiny_http::{Header, Method, Request, Response, Server};

/// Enough for a browser's six connections a host to make progress while a model streams.
const N_WORKERS: usize = 6;

/// A running server; it stops when dropped.
pub struct StaticServer {
    server: Arc<Server>,
    workers: Vec<JoinHandle<()>>,
    url: String,
}

impl StaticServer {
    /// Serves `folder` at `http://127.0.0.1:{port}{mount}`; port 0 takes any free one.
    ///
    /// `mount` starts and ends with a slash: a mount other than `/` shows that the page works
    /// under a sub-path, as it does on most static hosts.
    pub fn start(folder: &Path, port: u16, mount: &str) -> Result<Self> {
        ensure!(
            mount.starts_with('/') && mount.ends_with('/'),
            "expected a mount that starts and ends with '/', found {mount:?}"
        );
        let index = folder.join("index.html");
        ensure!(
            index.is_file(),
            "expected a built page at {}, found none: run `cargo xtask dist`",
            index.display()
        );
        let server = Server::http(("127.0.0.1", port))
            .map_err(|error| anyhow!("cannot listen on 127.0.0.1:{port}: {error}"))?;
        let address = server
            .server_addr()
            .to_ip()
            .context("expected an IP address to listen on")?;
        let server = Arc::new(server);
        let workers = (0..N_WORKERS)
            .map(|_| {
                let (server, folder, mount) = (server.clone(), folder.to_owned(), mount.to_owned());
                std::thread::spawn(move || {
                    // `recv` fails once the server is unblocked for good: then the worker ends.
                    while let Ok(request) = server.recv() {
                        respond(request, &folder, &mount);
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

fn respond(request: Request, folder: &Path, mount: &str) {
    if !matches!(request.method(), Method::Get | Method::Head) {
        // A visitor who hung up is no fault of the server's; the same holds below.
        let _ = request.respond(Response::empty(405));
        return;
    }
    let file = file_of_url(request.url(), folder, mount)
        .and_then(|path| Some((File::open(&path).ok()?, content_type(&path))));
    let _ = match file {
        Some((file, content_type)) => {
            let response = Response::from_file(file)
                .with_header(header("Content-Type", content_type))
                // A rebuilt page must never meet a model or a module of the build before.
                .with_header(header("Cache-Control", "no-cache"))
                // Browsers show progress only when the length is known beforehand.
                .with_chunked_threshold(usize::MAX);
            request.respond(response)
        }
        None => request.respond(Response::from_string("not found\n").with_status_code(404)),
    };
}

fn header(name: &'static str, value: &'static str) -> Header {
    Header::from_bytes(name, value).expect("constant header names and values are ASCII")
}

/// The file that a request asks for, or nothing when it lies outside `folder`.
fn file_of_url(url: &str, folder: &Path, mount: &str) -> Option<PathBuf> {
    let path = url.split(['?', '#']).next()?;
    let relative = Path::new(path.strip_prefix(mount)?);
    let inside = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if !inside {
        return None;
    }
    let file = folder.join(relative);
    if file.is_dir() {
        return Some(file.join("index.html"));
    }
    file.is_file().then_some(file)
}

fn content_type(path: &Path) -> &'static str {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("css") => "text/css; charset=utf-8",
        Some("json") => "application/json",
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
    use std::io::{Read, Write};
    use std::net::TcpStream;

    fn folder_with_page(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("xtask-server-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("models")).unwrap();
        std::fs::write(folder.join("index.html"), "<p>page</p>").unwrap();
        std::fs::write(folder.join("page_bg.wasm"), b"\0asm").unwrap();
        std::fs::write(folder.join("models/index.json"), "[]").unwrap();
        folder
    }

    fn get(server: &StaticServer, path: &str) -> String {
        let host = server.url()["http://".len()..].split('/').next().unwrap();
        let mut stream = TcpStream::connect(host).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn serves_files_with_their_types_under_the_mount() {
        let folder = folder_with_page("types");
        let server = StaticServer::start(&folder, 0, "/class/a/").unwrap();
        for (path, expect_status, expect_type) in [
            ("/class/a/", "200", "text/html"),
            ("/class/a/index.html?x=1", "200", "text/html"),
            ("/class/a/page_bg.wasm", "200", "application/wasm"),
            ("/class/a/models/index.json", "200", "application/json"),
            ("/class/a/models/missing.json", "404", "text/plain"),
            ("/index.html", "404", "text/plain"),
        ] {
            let answer = get(&server, path);
            let status = answer.split(' ').nth(1).unwrap_or_default();
            assert_eq!(status, expect_status, "{path}: {answer}");
            assert!(
                answer.contains(&format!("Content-Type: {expect_type}")),
                "{path}: {answer}"
            );
        }
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn stays_inside_the_folder() {
        let folder = folder_with_page("inside");
        let models = folder.join("models");
        for url in ["/../index.html", "/a/../../index.html", "//etc/passwd"] {
            assert_eq!(file_of_url(url, &models, "/"), None, "{url}");
        }
        assert!(file_of_url("/index.json", &models, "/").is_some());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_unbuilt_page_is_named() {
        let folder = std::env::temp_dir().join("xtask-server-that-is-not-there");
        let error = StaticServer::start(&folder, 0, "/")
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("cargo xtask dist"), "{error}");
    }
}
