//! PostgreSQL and MariaDB in folders of their own, where their programs are installed, for tests of whichever crate
//! reads databases. Left out: what is in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::mysql::MySqlConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, MySqlConnection, PgConnection};

/// A port that nobody listens on.
fn free_port() -> Option<u16> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").ok()?;
    Some(listener.local_addr().ok()?.port())
}

/// A PostgreSQL server, whose superuser is `praxis`.
pub struct Postgres {
    dir: tempfile::TempDir,
    port: u16,
}

impl Postgres {
    pub fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let user = Command::new("id").arg("-u").output().ok()?;
        // The server does not run as root.
        let root = user.stdout.starts_with(b"0\n");
        let run = |program: &str, args: &[&str]| {
            let mut command = if root {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
                command
            } else {
                Command::new(program)
            };
            let done = command.args(args).current_dir("/").output();
            done.ok().filter(|o| o.status.success())
        };
        if root {
            let mut chown = Command::new("chown");
            chown.arg("65534:65534").arg(dir.path()).status().ok()?;
        }
        let path = data.to_str()?;
        run("initdb", &["-D", path, "-U", "praxis", "-A", "trust", "-N"])?;
        let port = free_port()?;
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -k {} -c fsync=off",
            dir.path().display()
        );
        let log = dir.path().join("log");
        let log = log.to_str()?;
        run(
            "pg_ctl",
            &["-D", path, "-w", "-o", &options, "-l", log, "start"],
        )?;
        Some(Self { dir, port })
    }

    /// The URL of a user's.
    pub fn url(&self, user: &str) -> String {
        format!(
            "postgres://{user}@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        )
    }

    pub async fn connect(&self) -> PgConnection {
        let options: PgConnectOptions = self.url("praxis").parse().unwrap();
        options.connect().await.unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let pid = std::fs::read_to_string(self.dir.path().join("data/postmaster.pid"))
            .unwrap_or_default();
        if let Some(pid) = pid.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", pid]).status();
        }
    }
}

/// A MariaDB server, whose `root` has no password.
pub struct MariaDb {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl MariaDb {
    pub fn start() -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let data = format!("--datadir={}", dir.path().join("data").display());
        let user = Command::new("id").arg("-un").output().ok()?;
        let user = format!("--user={}", String::from_utf8(user.stdout).ok()?.trim());
        let made = Command::new("mariadb-install-db")
            .args(["--no-defaults", "--auth-root-authentication-method=normal"])
            .args(["--skip-test-db", &data, &user])
            .output();
        made.ok().filter(|o| o.status.success())?;
        let port = free_port()?;
        let socket = format!("--socket={}", dir.path().join("socket").display());
        let pid = format!("--pid-file={}", dir.path().join("pid").display());
        let process = Command::new("mariadbd")
            .args(["--no-defaults", "--bind-address=127.0.0.1"])
            .args([&data, &user, &socket, &pid, &format!("--port={port}")])
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        Some(Self {
            process,
            port,
            _dir: dir,
        })
    }

    /// The URL of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    pub async fn connect(&self) -> MySqlConnection {
        let options: MySqlConnectOptions = self.url("").parse().unwrap();
        for _ in 0..300 {
            if let Ok(connection) = options.connect().await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("MariaDB does not answer");
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
