//! Connections to a server, made when the first is needed. Left out: what a session on one of them keeps to
//! (`postgres`, `mysql`), and SQLite, whose files are opened anew.

use std::sync::OnceLock;

use sqlx::pool::PoolOptions;
use sqlx::{Connection, Database};

use super::PATIENCE;

/// How a server is reached.
type Options<DB> = <<DB as Database>::Connection as Connection>::Options;

/// Connections to one server, so many at most.
pub(in crate::sql) struct Pool<DB: Database> {
    options: Options<DB>,
    connections: u32,
    pool: OnceLock<sqlx::Pool<DB>>,
}

impl<DB: Database> Pool<DB> {
    pub fn new(options: Options<DB>, connections: u32) -> Self {
        Self {
            options,
            connections,
            pool: OnceLock::new(),
        }
    }

    /// How the server is reached.
    pub fn options(&self) -> &Options<DB> {
        &self.options
    }

    pub fn get(&self) -> sqlx::Pool<DB> {
        let make = || {
            PoolOptions::<DB>::new()
                .max_connections(self.connections)
                .acquire_timeout(PATIENCE)
                .connect_lazy_with(self.options.clone())
        };
        self.pool.get_or_init(make).clone()
    }
}
