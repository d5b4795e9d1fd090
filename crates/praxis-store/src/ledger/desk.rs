//! Transactions of the ledger: what is owed is settled, what is asked for is decided on, and all of it is written or
//! none. Left out: who waits for it.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use praxis_core::ledger::Day;
use praxis_core::{CallError, LedgerError, Reserved, Spent, Subject, Ticket, ids};
use sqlx::sqlite::{SqliteConnectOptions, SqliteSynchronous};
use sqlx::{Connection, QueryBuilder, Row, Sqlite, SqliteConnection};
use tokio::sync::Mutex;

use super::book::{Book, Holding};
use super::usage::Uses;
use super::{AGAIN, Answer, Asked, BATCH, Clock, Noted, QUEUE, Settlement};
use crate::StoreError;

/// Settlements that are kept while the database fails; what is beyond stays counted as it was reserved.
const OWED: usize = 4 * QUEUE;

/// How long a transaction waits for those of others.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often what is owed is tried to be settled where the ledger is closed.
const LAST_TRIES: usize = 4;

/// When rows are forgotten, and how long after they were of use.
const HOUR_US: i64 = 3_600_000_000;
const DAY_US: i64 = 24 * HOUR_US;
const KEPT: [(&str, i64); 3] = [
    // A bucket that is full again is as good as none.
    ("DELETE FROM ledger_rates WHERE tat_us < ?", DAY_US),
    // A call may be settled when its window has ended.
    ("DELETE FROM ledger_windows WHERE ends_us < ?", 7 * DAY_US),
    // What was taken stays counted; it cannot be settled any more.
    ("DELETE FROM ledger_open WHERE taken_us < ?", 30 * DAY_US),
];

/// What a ticket holds.
struct Reservation {
    id: String,
    subjects: Vec<Subject>,
    holding: Holding,
    taken_us: i64,
    tokens: u64,
    micros: i64,
}

/// Where transactions are made.
pub(super) struct Desk {
    /// None where the last transaction failed: nothing is known of its connection then.
    connection: Option<SqliteConnection>,
    options: SqliteConnectOptions,
    /// The turn of those who write at each call.
    turn: Arc<Mutex<()>>,
    clock: Clock,
    /// Settlements that are not in the database yet.
    pub(super) owed: Vec<Settlement>,
    /// What was noted and is not in the database yet.
    pub(super) noted: Vec<Noted>,
    swept_us: i64,
}

impl Desk {
    /// Opens a connection of its own to the database.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) async fn open(
        options: &SqliteConnectOptions,
        turn: Arc<Mutex<()>>,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let options = options
            .clone()
            .create_if_missing(false)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(PATIENCE);
        Ok(Self {
            connection: Some(SqliteConnection::connect_with(&options).await?),
            options,
            turn,
            clock,
            owed: Vec::new(),
            noted: Vec::new(),
            swept_us: i64::MIN,
        })
    }

    /// Decides on reservations and settles what is owed.
    pub(super) async fn work(&mut self, mut asked: Vec<Asked>) {
        asked.retain(|one| !one.reply.is_closed());
        if asked.is_empty() && self.owed.is_empty() && self.noted.is_empty() {
            return;
        }
        match self.attempt(&asked).await {
            Ok(answers) => {
                self.owed.clear();
                self.noted.clear();
                for (one, answer) in asked.into_iter().zip(answers) {
                    if let Err(Ok(Reserved { ticket, .. })) = one.reply.send(answer) {
                        let spent = None;
                        self.owed.push(Settlement { ticket, spent });
                    }
                }
            }
            Err(error) => {
                let owed = self.owed.len();
                tracing::error!(%error, refused = asked.len(), owed, "the ledger cannot count");
                let message = format!("no call is begun that cannot be counted: {error}");
                let failure = CallError::failure(message);
                for one in asked {
                    let _ = one.reply.send(Err(LedgerError::Failed(failure.clone())));
                }
                if owed > OWED {
                    let lost = owed - OWED;
                    tracing::error!(lost, "reservations stay counted in full");
                    self.owed.truncate(OWED);
                }
                self.noted.truncate(OWED);
            }
        }
    }

    /// Makes one transaction. Where it fails, its connection is given up, and with it what was done.
    async fn attempt(&mut self, asked: &[Asked]) -> Result<Vec<Answer>, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let turn = self.turn.clone();
        let answers = {
            let _turn = turn.lock().await;
            self.transact(&mut connection, asked).await?
        };
        self.connection = Some(connection);
        Ok(answers)
    }

    async fn transact(
        &mut self,
        connection: &mut SqliteConnection,
        asked: &[Asked],
    ) -> Result<Vec<Answer>, StoreError> {
        let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
        let now = (self.clock)().max(0);
        let (mut book, mut uses) = (Book::new(now), Uses::default());
        // Settlements first: what they give back is there for who asks now.
        let mut open = take_open(&mut tx, &self.owed).await?;
        for settlement in &self.owed {
            let Some(reservation) = settlement.ticket.held::<Reservation>() else {
                tracing::error!("a ticket of another ledger cannot be settled here");
                continue;
            };
            if !open.remove(&reservation.id) {
                continue;
            }
            let spent = settlement.spent.as_ref();
            book.settle(&mut tx, &reservation.holding, spent).await?;
            if let Some(spent) = spent {
                let day = Day::of(reservation.taken_us);
                uses.add(day, &reservation.subjects, spent);
                report_excess(reservation, spent);
            }
        }
        for Noted { subjects, spent } in &self.noted {
            uses.add(Day::of(now), subjects, spent);
        }
        let mut opened = Vec::with_capacity(asked.len());
        let mut answers = Vec::with_capacity(asked.len());
        for Asked { claim, .. } in asked {
            let answer = match book.take(&mut tx, claim).await? {
                Ok((holding, remaining)) => {
                    let reservation = Reservation {
                        id: ids::generate("claim-"),
                        subjects: claim.subjects.clone(),
                        holding,
                        taken_us: now,
                        tokens: claim.tokens,
                        micros: claim.money.0,
                    };
                    opened.push(reservation.id.clone());
                    Ok(Reserved {
                        ticket: Ticket::new(reservation),
                        remaining,
                    })
                }
                Err(refusal) => Err(LedgerError::Refused(refusal)),
            };
            answers.push(answer);
        }
        book.write(&mut tx).await?;
        uses.write(&mut tx).await?;
        put_open(&mut tx, &opened, now).await?;
        let is_due = now >= self.swept_us.saturating_add(HOUR_US);
        if is_due {
            for (sql, kept_us) in KEPT {
                let before = now.saturating_sub(kept_us);
                sqlx::query(sql).bind(before).execute(&mut *tx).await?;
            }
        }
        tx.commit().await?;
        if is_due {
            self.swept_us = now;
        }
        Ok(answers)
    }

    /// Settles what is owed still, as far as the database lets it.
    pub(super) async fn close(mut self) {
        for attempt in 0..LAST_TRIES {
            if self.owed.is_empty() && self.noted.is_empty() {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(AGAIN).await;
            }
            self.work(Vec::new()).await;
        }
        if !self.owed.is_empty() {
            let lost = self.owed.len();
            tracing::error!(lost, "reservations stay counted in full");
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the ledger's connection did not close");
        }
    }
}

fn report_excess(reservation: &Reservation, spent: &Spent) {
    if spent.tokens() > reservation.tokens || spent.money.0 > reservation.micros {
        tracing::warn!(
            model = %spent.model,
            reserved_tokens = reservation.tokens,
            tokens = spent.tokens(),
            reserved_micros = reservation.micros,
            micros = spent.money.0,
            "a call took more than was reserved for it; all of it is counted"
        );
    }
}

/// Takes the reservations of these settlements from those that are open; gives the ids of those that were.
async fn take_open(
    tx: &mut SqliteConnection,
    owed: &[Settlement],
) -> Result<HashSet<String>, StoreError> {
    let held = owed.iter().filter_map(|s| s.ticket.held::<Reservation>());
    let ids: Vec<&str> = held.map(|reservation| reservation.id.as_str()).collect();
    let mut open = HashSet::new();
    for some in ids.chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM ledger_open WHERE id IN (");
        let mut list = query.separated(", ");
        for id in some {
            list.push_bind(*id);
        }
        query.push(") RETURNING id");
        for row in query.build().fetch_all(&mut *tx).await? {
            open.insert(row.try_get(0)?);
        }
    }
    Ok(open)
}

async fn put_open(
    tx: &mut SqliteConnection,
    ids: &[String],
    taken_us: i64,
) -> Result<(), StoreError> {
    for some in ids.chunks(BATCH) {
        let mut query = QueryBuilder::<Sqlite>::new("INSERT INTO ledger_open (id, taken_us) ");
        query.push_values(some, |mut row, id| {
            row.push_bind(id).push_bind(taken_us);
        });
        query.build().execute(&mut *tx).await?;
    }
    Ok(())
}
