//! What models have used today, over all sessions.

use trunkline_core::id::LogId;
use trunkline_core::spending::{Day, Spending};

use crate::cell::CommandError;
use crate::hub::Hub;

impl Hub {
    /// What was used today, by profile and in all, beside what may be.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn spending(&self) -> Result<Day, CommandError> {
        let (now, all) = (self.now(), self.profiles().daily_budget());
        let budgets: Vec<_> = self
            .profiles()
            .list()
            .into_iter()
            .map(|listed| (listed.name, listed.profile.daily_budget))
            .collect();
        self.spendings()
            .view(&LogId::spending(), move |spending: &Spending, _| spending.on(now, all, budgets))
            .await
    }
}
