//! Transfers between accounts: two keyed operators and a loop of money through them. The total never changes, and every account ends with
//! what a plain computation gives it.
//!
//! The first operator, keyed by the account that pays, books what leaves it and passes the money on; the second, keyed by the account that
//! receives, books what comes. An entry that is lost or counted twice shows in a balance; one that is under way at a crash must not be lost.

use super::{any_size, parameters, recovered};
use crate::recovery::Recovery;
use crate::simulation::simulate;
use brisk_base::world::Rng;
use brisk_base::{Error, Result};
use brisk_core::function::Collector;
use brisk_core::state::{StateDeclarations, ValueState};
use brisk_core::types::Record;
use brisk_stream::function::{Context, KeyedProcessFunction};
use brisk_stream::{DataStream, StreamEnvironment};
use std::collections::BTreeMap;

/// Money that goes from one account to another.
#[derive(Clone, PartialEq, Eq, Debug, Record)]
struct Transfer {
    number: i64,
    from: u32,
    to: u32,
    amount: i64,
}

/// An entry in an account's book: account, number of the transfer, change, balance after it.
type Entry = (u32, i64, i64, i64);

/// What a seed chooses.
struct Bank {
    transfers: i64,
    accounts: u32,
    mix: u64,
}

impl Bank {
    fn draw(rng: &mut Rng) -> Self {
        Self { transfers: any_size(rng, 1, 1500) as i64, accounts: any_size(rng, 1, 20) as u32, mix: rng.next_u64() }
    }

    fn transfer(number: i64, accounts: u32, mix: u64) -> Transfer {
        let mut rng = Rng::seeded(mix ^ number as u64);
        let mut account = || rng.below(u64::from(accounts)) as u32;
        let (from, to) = (account(), account());
        Transfer { number, from, to, amount: 1 + rng.below(100) as i64 }
    }

    /// Entries of those who pay, and of those who receive.
    fn job(&self, env: &StreamEnvironment) -> (DataStream<Entry>, DataStream<Entry>) {
        let (accounts, mix) = (self.accounts, self.mix);
        let transfers = env.from_sequence(1, self.transfers).map(move |number| Self::transfer(number, accounts, mix));
        let paid = transfers.key_by(|transfer| transfer.from).process::<Pay>();
        let received = paid.clone().map(|(_, transfer)| transfer).key_by(|transfer: &Transfer| transfer.to).process::<Receive>();
        (paid.map(|(entry, _)| entry), received)
    }

    fn check(&self, (paid, received): (Vec<Entry>, Vec<Entry>)) -> Result<()> {
        let (mut out, mut inn): (BTreeMap<u32, i64>, BTreeMap<u32, i64>) = Default::default();
        for number in 1..=self.transfers {
            let Transfer { from, to, amount, .. } = Self::transfer(number, self.accounts, self.mix);
            *out.entry(from).or_default() -= amount;
            *inn.entry(to).or_default() += amount;
        }
        let total: i64 = paid.iter().chain(&received).map(|(.., change, _)| change).sum();
        if total != 0 {
            return Err(Error::bug(format!("the total has changed by {total}: {} were paid, {} received", paid.len(), received.len())));
        }
        book("paying", self.transfers, &out, paid)?;
        book("receiving", self.transfers, &inn, received)
    }
}

/// Each transfer has one entry, each balance follows from another one, and the last ones are as expected.
fn book(what: &str, transfers: i64, expected: &BTreeMap<u32, i64>, entries: Vec<Entry>) -> Result<()> {
    let mut numbers: Vec<i64> = entries.iter().map(|(_, number, ..)| *number).collect();
    numbers.sort_unstable();
    if !numbers.iter().copied().eq(1..=transfers) {
        return Err(Error::bug(format!("{what}: {} entries for {transfers} transfers", numbers.len())));
    }
    // The entries of an account may come in any order, since sinks of different subtasks do not wait for each other after a rescale. But each
    // begins where another one ended, from 0 to the last balance.
    let mut ends: BTreeMap<u32, (Vec<i64>, Vec<i64>)> = BTreeMap::new();
    for (account, _, change, balance) in entries {
        let (begins, ends) = ends.entry(account).or_default();
        begins.push(balance - change);
        ends.push(balance);
    }
    for (account, (mut begins, mut ends)) in ends {
        begins.push(expected.get(&account).copied().unwrap_or(0));
        ends.push(0);
        begins.sort_unstable();
        ends.sort_unstable();
        if begins != ends {
            return Err(Error::bug(format!("{what}: the entries of account {account} do not follow from each other")));
        }
    }
    Ok(())
}

/// Books what leaves an account.
#[derive(Clone)]
struct Pay {
    balance: ValueState<i64>,
}

impl KeyedProcessFunction for Pay {
    type Key = u32;
    type In = Transfer;
    type Out = (Entry, Transfer);

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { balance: state.value_with_default("balance", 0) }
    }

    fn process_element(&mut self, transfer: Transfer, ctx: &mut Context<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()> {
        let balance = self.balance.get(ctx)?.unwrap_or(0) - transfer.amount;
        self.balance.put(ctx, balance)?;
        out.collect(((transfer.from, transfer.number, -transfer.amount, balance), transfer));
        Ok(())
    }
}

/// Books what comes to an account.
#[derive(Clone)]
struct Receive {
    balance: ValueState<i64>,
}

impl KeyedProcessFunction for Receive {
    type Key = u32;
    type In = Transfer;
    type Out = Entry;

    fn declare(state: &mut StateDeclarations) -> Self {
        Self { balance: state.value_with_default("balance", 0) }
    }

    fn process_element(&mut self, transfer: Transfer, ctx: &mut Context<'_, Self>, out: &mut Collector<Self::Out>) -> Result<()> {
        let balance = self.balance.get(ctx)?.unwrap_or(0) + transfer.amount;
        self.balance.put(ctx, balance)?;
        out.collect((transfer.to, transfer.number, transfer.amount, balance));
        Ok(())
    }
}

/// Over crashes and restarts.
pub(super) fn recover(seed: u64) -> Result<u64> {
    let bank = Bank::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(bank.job(env)));
    recovered(&simulation, seed, &Recovery::default(), |run| bank.check(run.output))
}

/// In processes that crash.
pub(super) fn in_processes(seed: u64) -> Result<u64> {
    let bank = Bank::draw(&mut parameters(seed));
    let simulation = simulate(|env: &StreamEnvironment| Ok(bank.job(env)));
    super::in_processes(&simulation, seed, |run| bank.check(run.output))
}
