"""PostgreSQL and MariaDB in folders of their own, as long as the program runs, with the benchmark's databases in them."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Postgres:
    """A server that trusts everybody on this machine, with a role `reader` that may read and nothing else."""

    dialect = "postgres"
    programs = ("initdb", "pg_ctl", "psql")

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        # The server does not run as root.
        self.prefix = []
        if os.geteuid() == 0:
            self.prefix = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            shutil.chown(folder, 65534, 65534)
        data = folder / "data"
        self.data = data
        self.run("initdb", "-D", data, "-U", "praxis", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        self.run("pg_ctl", "-D", data, "-w", "-o", options, "-l", folder / "log", "start")

    def run(self, *command):
        done = subprocess.run([*self.prefix, *map(str, command)], cwd="/", capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{command[0]} failed: {done.stderr or done.stdout}")

    def client(self, database, sql):
        command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "praxis"]
        done = subprocess.run([*command, "-At", "-F", "\x1f", "-R", "\x1e", "-d", database], input=sql, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def load(self, name, sql):
        self.client("postgres", f"CREATE DATABASE {name};")
        self.client(name, sql)
        reader = "DO $$ BEGIN CREATE ROLE reader LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
        self.client(name, f"{reader} GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; ANALYZE;")

    def rows(self, name, sql):
        out = self.client(name, f"{sql};").removesuffix("\n")
        return [tuple(v or None for v in row.split("\x1f")) for row in out.split("\x1e")] if out else []

    def url(self, name):
        return f"postgres://reader@127.0.0.1:{self.port}/{name}?sslmode=disable"

    def close(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")


class MariaDb:
    """A server without passwords, with a user `reader` that may read and nothing else."""

    dialect = "mysql"
    programs = ("mariadb-install-db", "mariadbd", "mariadb")

    def __init__(self, folder: Path):
        self.folder, self.port = folder, free_port()
        folder.mkdir(parents=True, exist_ok=True)
        data = f"--datadir={folder / 'data'}"
        user = f"--user={subprocess.run(['id', '-un'], capture_output=True, text=True).stdout.strip()}"
        command = ["mariadb-install-db", "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        done = subprocess.run([*command, data, user], capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"mariadb-install-db failed: {done.stderr or done.stdout}")
        command = ["mariadbd", "--no-defaults", "--bind-address=127.0.0.1", data, user, f"--port={self.port}"]
        command += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", "--character-set-server=utf8mb4"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(300):
            try:
                self.client("", "SELECT 1;")
                return
            except RuntimeError:
                time.sleep(0.1)
        raise SystemExit("MariaDB does not answer")

    def client(self, database, sql):
        command = ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(self.port), "-u", "root", "--default-character-set=utf8mb4"]
        done = subprocess.run([*command, "-N", "-B", *([database] if database else [])], input=sql, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def load(self, name, sql):
        self.client("", f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;")
        self.client(name, sql)
        self.client("", f"CREATE USER IF NOT EXISTS reader@'127.0.0.1'; GRANT SELECT ON {name}.* TO reader@'127.0.0.1';")

    def rows(self, name, sql):
        out = self.client(name, f"{sql};")
        lines = out.removesuffix("\n").split("\n") if out else []
        return [tuple(None if v == "NULL" else v for v in line.split("\t")) for line in lines]

    def url(self, name):
        return f"mysql://reader@127.0.0.1:{self.port}/{name}"

    def close(self):
        self.process.terminate()
        self.process.wait()


def start(kind, folder: Path):
    """The server, or nothing where its programs are not installed."""
    missing = [program for program in kind.programs if not shutil.which(program)]
    if missing:
        print(f"SKIPPED: {kind.__name__} needs {', '.join(missing)}")
        return None
    return kind(folder)
