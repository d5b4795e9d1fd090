//! A database of a tool file: its schema as a caller may see it, its queries checked, planned and run, and values that
//! words are like. Left out: how each is done (`introspect`, `check`, `run`, `files`).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use praxis_core::{CallContext, CallError, Caller, Clearance, ErrorCode, ModelError, Problem};
use tokio::sync::Semaphore;

use super::access::{Access, Globs, Known, Permissions};
use super::check::{self, Rules};
use super::config::{Config, LimitsConfig, TableConfig};
use super::files::{Files, Left};
use super::introspect::{self, Looked, Wanted};
use super::named::Named;
use super::powers::powers;
use super::run::{Collector, Connector, Session, Settings, Trust, turns};
use super::schema::{Dialect, Schema};
use super::target::{self, Target};
use super::{Fault, Found, Plan, Query, Rows};
use crate::deps::ToolDeps;

/// How long looking into a database's catalogue may take.
const LOOKING: Duration = Duration::from_secs(20);

/// How much longer than its time a query in SQLite is waited for: it is in an instruction that does not end, and its
/// connection is left to itself.
const GRACE: Duration = Duration::from_secs(1);

/// Callers that a schema is kept for.
const MAX_CALLERS: usize = 256;

/// Looking for values: columns, rows of each, words, values of each column, and how long all may take.
const SEARCHED_COLUMNS: usize = 400;
const SEARCHED_ROWS: usize = 20_000;
const MAX_WORDS: usize = 8;
const MAX_VALUES: usize = 3;
const SEARCHING: Duration = Duration::from_secs(3);

/// Characters of a word that values are looked for with, and of a question in which they are.
const WORD: std::ops::RangeInclusive<usize> = 2..=40;
const LONGEST_TEXT: usize = 2_000;

/// A database that is read.
pub struct Database {
    name: String,
    dialect: Dialect,
    places: Vec<String>,
    source: Source,
    permissions: Permissions,
    named: Named,
    include: Globs,
    exclude: Globs,
    all: bool,
    described: BTreeMap<String, TableConfig>,
    functions: Vec<String>,
    samples: bool,
    refresh: Duration,
    limits: LimitsConfig,
    settings: Settings,
    require_read_only: bool,
    /// Whether it was told what the database's user may do beside reading, and which names fit nothing.
    told: AtomicBool,
    loaded: RwLock<Option<Arc<Loaded>>>,
    loading: tokio::sync::Mutex<()>,
}

/// Where its tables are.
enum Source {
    Server(Box<Connector>),
    /// Files, and turns at the database that they are made.
    Files(Files, Arc<Semaphore>),
}

/// What was found in it.
struct Loaded {
    full: Arc<Schema>,
    left: Left,
    at: Instant,
    /// What files it was made of.
    version: String,
    seen: Mutex<HashMap<Clearance, Arc<Access>>>,
}

impl Loaded {
    /// What a caller with these labels sees.
    fn access(&self, permissions: &Permissions, clearance: &Clearance) -> Arc<Access> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(access) = seen.get(clearance) {
            return Arc::clone(access);
        }
        if seen.len() >= MAX_CALLERS {
            seen.clear();
        }
        let access = Arc::new(permissions.access(&self.full, clearance));
        seen.insert(clearance.clone(), Arc::clone(&access));
        access
    }
}

/// A connection's source, where it is one of the moment.
enum Reached<'a> {
    Server(&'a Connector),
    File(Box<Connector>),
}

impl Reached<'_> {
    fn connector(&self) -> &Connector {
        match self {
            Self::Server(connector) => connector,
            Self::File(connector) => connector,
        }
    }
}

impl Database {
    /// The database of a tool file. Nothing is connected before it is asked.
    ///
    /// # Errors
    /// An environment variable that is not set, a URL or a condition that cannot be read.
    pub async fn open(name: &str, config: &Config, deps: &ToolDeps) -> Result<Arc<Self>, Problem> {
        Self::new(name, config, &deps.root, &deps.state).map(Arc::new)
    }

    /// The database of a tool file, with the application's folder and that where tools keep caches.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn new(name: &str, config: &Config, root: &Path, state: &Path) -> Result<Self, Problem> {
        let limits = config.limits.clone();
        let (dialect, places, source) = match &config.url {
            Some(url) => {
                let target = Target::of(url, root)?;
                let dialect = target.dialect();
                let connector = Connector::new(target, limits.connections);
                let places = match (&connector, config.schemas.is_empty()) {
                    (Connector::Sqlite(_), _) => vec!["main".to_owned()],
                    (Connector::Postgres(_), true) => vec!["public".to_owned()],
                    (Connector::Postgres(_), false) => config.schemas.clone(),
                    (Connector::Mysql(pool), _) => vec![pool.database().to_owned()],
                };
                (dialect, places, Source::Server(Box::new(connector)))
            }
            None => {
                let folder = state.join("sql").join(name).join("files");
                let files = Files::new(&config.files, config.header, &limits, root, folder);
                (
                    Dialect::Sqlite,
                    vec!["main".to_owned()],
                    Source::Files(files, turns(limits.connections)),
                )
            }
        };
        let tables: Vec<String> = config
            .exclude
            .iter()
            .filter(|glob| !glob.contains('.'))
            .cloned()
            .collect();
        Ok(Self {
            name: name.to_owned(),
            dialect,
            source,
            permissions: Permissions::new(config, dialect)?,
            named: Named::new(name, config, dialect),
            include: Globs::new(&config.include),
            // In PostgreSQL, what has a dot may also be a table of another schema.
            exclude: Globs::new(if dialect == Dialect::Postgres {
                &config.exclude
            } else {
                &tables
            }),
            all: config.include.is_empty(),
            described: config.tables.clone(),
            functions: config.functions.clone(),
            samples: config.samples,
            refresh: config.refresh.0,
            settings: Settings {
                time: limits.time.0,
                role: config.role.clone(),
                allow_superuser: config.allow_superuser,
                places: places.clone(),
                scan: limits.scan.is_some(),
            },
            places,
            limits,
            require_read_only: config.require_read_only,
            told: AtomicBool::new(false),
            loaded: RwLock::new(None),
            loading: tokio::sync::Mutex::new(()),
        })
    }

    /// The SQL that it speaks.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What a caller may see; it is looked up anew after a while.
    ///
    /// # Errors
    /// A database that cannot be reached, files that cannot be read, and `forbidden` where the tool's file names a
    /// table or a column that is not there, or the database's user may do too much.
    pub async fn schema(&self, caller: &Caller) -> Result<Arc<Schema>, CallError> {
        let loaded = self.load().await.map_err(|error| CallError {
            // The names that there are concern who may see them.
            hint: error
                .hint
                .filter(|_| error.code != ErrorCode::Forbidden || caller.clearance.is_full()),
            ..error
        })?;
        let access = loaded.access(&self.permissions, &caller.clearance);
        Ok(Arc::clone(&access.schema))
    }

    /// What the tables of a schema lack of the files that they are made of.
    pub fn left_out(&self, schema: &Schema, caller: &Caller) -> Vec<String> {
        let Some(loaded) = self.current() else {
            return Vec::new();
        };
        let access = loaded.access(&self.permissions, &caller.clearance);
        let tables = schema.tables.iter().map(|table| table.name.as_str());
        loaded.left.of(tables, access.everything)
    }

    /// Checks a query of a caller against what `schema` tells, which may be a part of what the caller may see, and
    /// writes what is sent instead of it.
    ///
    /// # Errors
    /// [`Fault::Refused`] with what is wrong.
    pub fn check(&self, sql: &str, schema: &Schema, caller: &Caller) -> Result<Query, Fault> {
        let loaded = self.current().ok_or_else(|| {
            let message = format!("the schema of `{}` was never looked up", self.name);
            Fault::Call(CallError::new(ErrorCode::Internal, message))
        })?;
        let access = loaded.access(&self.permissions, &caller.clearance);
        let rules = Rules {
            dialect: self.dialect,
            schema,
            access: &access,
            known: &Known::from(caller),
            places: &self.places,
            functions: &self.functions,
            rows: self.limits.rows,
        };
        let mut query = check::check(sql, &rules)?;
        let tables = query.tables.iter().map(String::as_str);
        query.left = loaded.left.of(tables, access.everything);
        Ok(query)
    }

    /// What the database expects of a query, which has to be within the limits.
    ///
    /// # Errors
    /// [`Fault::Failed`] with the database's words, [`Fault::TooMuch`] for what is beyond a limit.
    pub async fn explain(&self, query: &Query) -> Result<Plan, Fault> {
        let reached = self.reach().await.map_err(Fault::Call)?;
        let mut session = reached
            .connector()
            .open(&self.settings, Trust::Checked)
            .await?;
        let plan = self.planned(&mut session, query).await;
        session.close().await;
        plan
    }

    /// Runs a query: read-only, within the limits, and ended at the server when the call is cancelled.
    ///
    /// # Errors
    /// [`Fault::Failed`] with the database's words, [`Fault::TooMuch`] for what takes too long,
    /// [`Fault::Call`] where the call was cancelled or the database cannot be reached.
    pub async fn run(&self, query: &Query, cx: &CallContext) -> Result<Rows, Fault> {
        let time = self.limits.time.0;
        // The database ends a query itself; this is for one that does not.
        let patience = time
            .saturating_mul(2)
            .saturating_add(Duration::from_secs(10));
        tokio::select! {
            () = cx.cancel().cancelled() => Err(Fault::Call(ModelError::Cancelled.into())),
            rows = tokio::time::timeout(patience, self.rows(query)) => rows.unwrap_or_else(|_| {
                Err(Fault::TooMuch(format!("the query took longer than {time:?}")))
            }),
        }
    }

    async fn rows(&self, query: &Query) -> Result<Rows, Fault> {
        let reached = self.reach().await.map_err(Fault::Call)?;
        let mut session = reached
            .connector()
            .open(&self.settings, Trust::Checked)
            .await?;
        let work = async {
            if !query.planned.load(Ordering::Relaxed) {
                self.planned(&mut session, query).await?;
            }
            let collector = Collector::new(query.rows, self.limits.bytes);
            session.rows(query, collector).await
        };
        // A server ends a query in time. SQLite does so between two of its instructions alone: who asked has an answer
        // in time all the same, and what goes on keeps its turn among the connections until it has ended.
        let rows = match self.dialect {
            Dialect::Sqlite => tokio::time::timeout(self.settings.time + GRACE, work).await,
            Dialect::Postgres | Dialect::Mysql => Ok(work.await),
        };
        let Ok(rows) = rows else {
            let time = self.settings.time;
            return Err(Fault::TooMuch(format!(
                "the query took longer than {time:?}; make shorter texts, and read fewer rows"
            )));
        };
        session.close().await;
        rows
    }

    async fn planned(&self, session: &mut Session, query: &Query) -> Result<Plan, Fault> {
        let plan = session.plan(query).await?;
        if let (Some(most), Some(cost)) = (self.limits.cost, plan.cost)
            && cost > most
        {
            return Err(Fault::TooMuch(format!(
                "the query would cost {cost:.0}, and may cost {most:.0}; filter more, or join by keys"
            )));
        }
        if let (Some(most), Some(rows)) = (self.limits.scan, plan.rows)
            && rows > most
        {
            return Err(Fault::TooMuch(format!(
                "the query would look at {rows:.0} rows, and may look at {most:.0}; filter more, or join by keys"
            )));
        }
        query.planned.store(true, Ordering::Relaxed);
        Ok(plan)
    }

    /// Values that are in a text as they are, and values that words are like, in columns of texts of `schema`. Tables
    /// whose rows are hidden from somebody are left out, whoever asks.
    ///
    /// # Errors
    /// A database that cannot be reached.
    pub async fn values(
        &self,
        schema: &Schema,
        text: &str,
        words: &[String],
    ) -> Result<Vec<Found>, CallError> {
        let text: String = text
            .chars()
            .filter(|c| !matches!(c, '\0' | '\u{1}'))
            .take(LONGEST_TEXT)
            .collect();
        let words: Vec<String> = words
            .iter()
            .map(|word| word.trim().to_owned())
            .filter(|word| WORD.contains(&word.chars().count()) && !word.contains(['\0', '\u{1}']))
            .take(MAX_WORDS)
            .collect();
        let columns: Vec<(&str, &str)> = schema
            .tables
            .iter()
            .filter(|table| !table.view && !self.permissions.filters(&table.name))
            .flat_map(|table| {
                table
                    .columns
                    .iter()
                    .map(move |column| (table.name.as_str(), column))
            })
            .filter(|(_, column)| introspect::is_telling(&column.kind))
            .map(|(table, column)| (table, column.name.as_str()))
            .take(SEARCHED_COLUMNS)
            .collect();
        if (text.trim().is_empty() && words.is_empty()) || columns.is_empty() {
            return Ok(Vec::new());
        }
        let reached = self.reach().await?;
        let settings = Settings {
            time: SEARCHING.min(self.settings.time),
            ..self.settings.clone()
        };
        let mut session = reached
            .connector()
            .open(&settings, Trust::Checked)
            .await
            .map_err(reason)?;
        let begun = Instant::now();
        let mut found = Vec::new();
        for (table, column) in columns {
            if begun.elapsed() > SEARCHING {
                break;
            }
            let (sql, binds) = self.look_for(table, column, &text, &words);
            match session.texts(sql, &binds).await {
                Ok(rows) => found.extend(rows.into_iter().filter_map(|mut row| {
                    Some(Found {
                        table: table.to_owned(),
                        column: column.to_owned(),
                        value: row.pop()??,
                    })
                })),
                // The transaction is over: what was found until then is good.
                Err(error) => {
                    tracing::debug!(table, column, %error, "values are not looked for");
                    break;
                }
            }
        }
        session.close().await;
        Ok(found)
    }

    /// Values of a column that the text holds, the longest first, then those that hold one of the words, the shortest
    /// first.
    fn look_for(
        &self,
        table: &str,
        column: &str,
        text: &str,
        words: &[String],
    ) -> (String, Vec<String>) {
        let place = check::placed(self.dialect, &self.places, table);
        let name = check::quoted(self.dialect, column);
        let value = introspect::start(self.dialect, &name);
        let (like, length, within) = match self.dialect {
            Dialect::Postgres => ("ILIKE", "length(v)", "strpos(lower($1), lower(v)) > 0"),
            Dialect::Sqlite => ("LIKE", "length(v)", "instr(lower(?1), lower(v)) > 0"),
            Dialect::Mysql => ("LIKE", "CHAR_LENGTH(v)", "INSTR(LOWER(?), LOWER(v)) > 0"),
        };
        let shortest = WORD.start();
        let mut conditions = vec!["held".to_owned()];
        for i in 2..=words.len() + 1 {
            let bind = match self.dialect {
                Dialect::Postgres => format!("${i}"),
                Dialect::Sqlite => format!("?{i}"),
                Dialect::Mysql => "?".to_owned(),
            };
            conditions.push(format!("v {like} {bind} ESCAPE '!'"));
        }
        let sql = format!(
            "SELECT v FROM (SELECT v, ({length} >= {shortest} AND {within}) AS held FROM (SELECT DISTINCT v FROM \
             (SELECT {value} AS v FROM {place} LIMIT {SEARCHED_ROWS}) AS t1) AS t2) AS t3 WHERE {} \
             ORDER BY CASE WHEN held THEN -{length} ELSE {length} END, v LIMIT {MAX_VALUES}",
            conditions.join(" OR ")
        );
        let pattern = |word: &String| {
            let escaped = word
                .replace('!', "!!")
                .replace('%', "!%")
                .replace('_', "!_");
            format!("%{escaped}%")
        };
        let binds = std::iter::once(text.to_owned()).chain(words.iter().map(pattern));
        (sql, binds.collect())
    }

    /// What was found last, if anything was.
    fn current(&self) -> Option<Arc<Loaded>> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.as_ref().map(Arc::clone)
    }

    fn fresh(&self, version: &str) -> Option<Arc<Loaded>> {
        self.current()
            .filter(|loaded| loaded.version == version && loaded.at.elapsed() < self.refresh)
    }

    /// The schema, looked up where it is not known, or has not been for a while. Where the database is gone for the
    /// moment, what it was is good enough.
    async fn load(&self) -> Result<Arc<Loaded>, CallError> {
        let version = self.version().await?;
        if let Some(loaded) = self.fresh(&version) {
            return Ok(loaded);
        }
        let _turn = self.loading.lock().await;
        if let Some(loaded) = self.fresh(&version) {
            return Ok(loaded);
        }
        match self.look().await {
            Ok(Looked { schema, left, .. }) => {
                let loaded = Arc::new(Loaded {
                    full: Arc::new(schema),
                    left,
                    at: Instant::now(),
                    version,
                    seen: Mutex::default(),
                });
                let mut slot = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
                *slot = Some(Arc::clone(&loaded));
                Ok(loaded)
            }
            // What the file means to hide is not where it says, or the user may do too much.
            Err(error) if error.code == ErrorCode::Forbidden => {
                let hint = error.hint.as_deref().unwrap_or_default();
                tracing::error!(database = %self.name, %error, hint, "nothing is read");
                let mut slot = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
                *slot = None;
                Err(error)
            }
            Err(error) => match self.current().filter(|loaded| loaded.version == version) {
                Some(loaded) => {
                    tracing::warn!(database = %self.name, %error, "a schema is not looked up anew");
                    Ok(loaded)
                }
                None => Err(error),
            },
        }
    }

    async fn look(&self) -> Result<Looked, CallError> {
        let reached = self.reach().await?;
        let settings = Settings {
            time: LOOKING,
            ..self.settings.clone()
        };
        let mut session = reached
            .connector()
            .open(&settings, Trust::Own)
            .await
            .map_err(reason)?;
        let wanted = Wanted {
            dialect: self.dialect,
            places: &self.places,
            include: &self.include,
            all: self.all,
            exclude: &self.exclude,
            named: &self.named,
            described: &self.described,
            samples: self.samples,
        };
        let looked = async {
            let looked = introspect::look(&mut session, &wanted).await?;
            let powers = powers(&mut session, self.dialect).await?;
            self.tell(&looked.notes, &powers)?;
            Ok::<_, Fault>(looked)
        }
        .await
        .map_err(reason);
        session.close().await;
        looked
    }

    /// Tells once, in the log, which names fit nothing and what the database's user may do beside reading.
    fn tell(&self, notes: &[String], powers: &[String]) -> Result<(), Fault> {
        const HELP: &str = "give the tool a user that may SELECT and nothing else: docs/tools-sql.md has the GRANTs";
        let may = || {
            format!(
                "the database's user may do more than read: {}",
                powers.join(", ")
            )
        };
        let is_refused = self.require_read_only && !powers.is_empty();
        if is_refused {
            let error = CallError::new(ErrorCode::Forbidden, may());
            return Err(Fault::Call(error.with_hint(HELP)));
        }
        if self.told.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        for note in notes {
            tracing::warn!(database = %self.name, "{note}");
        }
        if !powers.is_empty() && !self.settings.allow_superuser {
            tracing::warn!(database = %self.name, "{}; {HELP}", may());
        }
        Ok(())
    }

    /// What tells one state of files from another.
    async fn version(&self) -> Result<String, CallError> {
        match &self.source {
            Source::Server(_) => Ok(String::new()),
            Source::Files(files, _) => files.version().await,
        }
    }

    async fn reach(&self) -> Result<Reached<'_>, CallError> {
        match &self.source {
            Source::Server(connector) => Ok(Reached::Server(connector)),
            Source::Files(files, turns) => {
                let path = files.ready().await?;
                let options = target::sqlite(&path).immutable(true);
                let connector = Connector::file(options, Arc::clone(turns));
                Ok(Reached::File(Box::new(connector)))
            }
        }
    }
}

/// A fault of our own statements is nobody's who asked.
fn reason(fault: Fault) -> CallError {
    match fault {
        Fault::Call(error) => error,
        other => CallError::new(
            ErrorCode::Upstream,
            format!("the database cannot be looked into: {other}"),
        ),
    }
}
