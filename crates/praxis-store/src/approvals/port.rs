//! The store as the port [`Approvals`]: the rows with a clock, limits counted in the ledger, and a sweep now and then.

use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use praxis_core::approval::{End, Entry, Ruling, Run, Wanted};
use praxis_core::ledger::UsageKind;
use praxis_core::{Approval, Approvals, CallError, Claim, ErrorCode, Ledger, LedgerError, Spent};
use tokio::sync::OnceCell;

use crate::Store;
use crate::ledger::{Clock, StoreLedger};

/// The most bytes of arguments that a person is asked about.
const MOST_ARGUMENTS: usize = 256 << 10;

/// How often rows that are past use are dropped.
const SWEEP_MS: i64 = 60 * 60 * 1000;

/// What the ledger's reports call a tool in the place of a model: this, and its name.
const TOOL: &str = "tool:";

/// [`Approvals`] on the store. Its ledger is opened when the first call has a limit.
pub struct StoreApprovals {
    store: Store,
    clock: Clock,
    pub(super) ledger: OnceCell<StoreLedger>,
    swept_ms: AtomicI64,
}

impl StoreApprovals {
    /// The approvals of this store; the clock is in microseconds since the epoch.
    pub fn new(store: Store, clock: Clock) -> Self {
        Self {
            store,
            clock,
            ledger: OnceCell::new(),
            swept_ms: AtomicI64::new(i64::MIN),
        }
    }

    fn now_ms(&self) -> i64 {
        (self.clock)() / 1000
    }

    /// Drops what is past use, if that is due.
    async fn sweep(&self, now_ms: i64) {
        let swept = self.swept_ms.load(Ordering::Relaxed);
        let order = Ordering::Relaxed;
        if now_ms.saturating_sub(swept) < SWEEP_MS
            || self
                .swept_ms
                .compare_exchange(swept, now_ms, order, order)
                .is_err()
        {
            return;
        }
        if let Err(error) = self.store.sweep_approvals(now_ms).await {
            tracing::warn!(%error, "old approvals and entries of the log could not be dropped");
        }
    }
}

#[async_trait]
impl Approvals for StoreApprovals {
    async fn reserve(&self, wanted: Wanted) -> Result<Approval, CallError> {
        let bytes = wanted.arguments.to_string().len();
        if bytes > MOST_ARGUMENTS {
            let message = format!(
                "the arguments of `{}` are {bytes} bytes, and a person is asked about {MOST_ARGUMENTS} at most",
                wanted.function
            );
            return Err(CallError::new(ErrorCode::TooLarge, message)
                .with_hint("call it with less at a time"));
        }
        let reserved = self.store.reserve_approval(&wanted, self.now_ms()).await;
        reserved.map_err(CallError::failure)?.ok_or_else(|| {
            let message = "too many calls of this caller wait for an approval already";
            CallError::new(ErrorCode::QuotaExceeded, message).with_hint(
                "decide on them first: `praxis approvals list`, or `GET /praxis/v1/approvals?state=pending`",
            )
        })
    }

    async fn find(&self, id: &str) -> Result<Option<Approval>, CallError> {
        let found = self.store.approval(id, self.now_ms()).await;
        found.map_err(CallError::failure)
    }

    async fn standing(&self, digest: &str) -> Result<Option<Approval>, CallError> {
        let found = self.store.standing_approval(digest, self.now_ms()).await;
        found.map_err(CallError::failure)
    }

    async fn decide(&self, id: &str, ruling: &Ruling) -> Result<Option<Approval>, CallError> {
        let decided = self.store.decide_approval(id, ruling, self.now_ms()).await;
        decided.map_err(CallError::failure)
    }

    async fn consume(&self, id: &str, run: &Run) -> Result<bool, CallError> {
        let taken = self.store.consume_approval(id, run, self.now_ms()).await;
        taken.map_err(CallError::failure)
    }

    async fn note(&self, entry: Entry, end: Option<End>) -> Result<(), CallError> {
        let now_ms = self.now_ms();
        let noted = self
            .store
            .note_tool_call(&entry, end.as_ref(), now_ms)
            .await;
        noted.map_err(CallError::failure)?;
        self.sweep(now_ms).await;
        Ok(())
    }

    async fn admit(&self, claim: Claim, tool: &str) -> Result<(), LedgerError> {
        // Nobody closes it: it settles at once what it takes.
        let open = || self.store.ledger_without_leases(self.clock.clone());
        let ledger = self.ledger.get_or_try_init(open).await;
        let ledger = ledger.map_err(|e| LedgerError::Failed(CallError::failure(e)))?;
        let price = claim.money;
        let reserved = ledger.reserve(claim).await?;
        let spent = Spent {
            kind: UsageKind::Tool,
            model: format!("{TOOL}{tool}"),
            money: price,
            ..Spent::default()
        };
        ledger.settle(reserved.ticket, spent).await;
        Ok(())
    }
}
