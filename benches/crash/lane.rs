//! One user at a command line, whose commands are killed.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::account::{Account, AccountAct};
use super::done;
use super::draw::Draw;
use super::model::{Act, Key, SCOPE, Sort};
use super::sound::sound;
use crate::support::{Outcome, command};

/// Keys in one import.
const TOGETHER: u64 = 20;

/// One user, and the keys and accounts that are changed by nobody else.
#[derive(Debug)]
pub(crate) struct Lane {
    number: usize,
    folder: PathBuf,
    draw: Draw,
    /// How long a command takes that nobody kills, more or less.
    usual: Duration,
    made: u64,
    pub(crate) keys: Vec<Key>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) commands: u64,
    pub(crate) kills: u64,
}

/// What a command left.
struct End {
    is_killed: bool,
    stdout: String,
    stderr: String,
}

impl End {
    /// The record that was printed, if all of it was.
    fn printed(&self) -> Option<Value> {
        self.stdout.ends_with('\n').then(|| serde_json::from_str(&self.stdout).ok()).flatten()
    }

    /// Whether the user was told that it is done: by the exit code, or by the word itself.
    fn was_told(&self, word: &str) -> bool {
        !self.is_killed || self.stderr.contains(word)
    }
}

fn text(record: &Value, name: &str) -> Option<String> {
    record.get(name)?.as_str().map(str::to_owned)
}

/// What a caller presents of a key that was printed.
fn value(record: &Value) -> Option<String> {
    text(record, "key").or_else(|| Some(format!("{}:{}", text(record, "id")?, text(record, "secret")?)))
}

impl Lane {
    pub(crate) fn new(number: usize, folder: PathBuf, seed: u64, usual: Duration) -> Self {
        let (keys, accounts) = (Vec::new(), Vec::new());
        Self { number, folder, draw: Draw::new(seed), usual, made: 0, keys, accounts, commands: 0, kills: 0 }
    }

    /// Gives so many commands, one after the other.
    pub(crate) fn work(&mut self, count: u64) -> Outcome<()> {
        for _ in 0..count {
            match self.draw.below(100) {
                0..18 => self.create()?,
                18..26 => self.clone_key()?,
                26..30 => self.begin_store()?,
                30..37 => self.import()?,
                37..45 => self.create_account()?,
                45..60 => self.change_account()?,
                _ => self.change()?,
            }
        }
        Ok(())
    }

    /// Runs a command, and kills it at a moment that is drawn; one in five runs to its end.
    fn run(&mut self, arguments: &[&str]) -> Outcome<End> {
        // Most of the time a command waits for gateways, when its change is made already: more kills are for what is before.
        let delay = match self.draw.below(5) {
            0 => None,
            1 => Some(self.draw.span(self.usual * 3 / 2)),
            _ => Some(self.draw.span(self.usual * 2 / 5)),
        };
        let mut started = command(&self.folder);
        started.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = started.spawn()?;
        if let Some(delay) = delay {
            thread::sleep(delay);
            process.kill()?;
        }
        let output = process.wait_with_output()?;
        let is_killed = output.status.signal() == Some(9);
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        if !is_killed && !output.status.success() {
            return Err(format!("{arguments:?}: {}: {stderr}", output.status).into());
        }
        self.commands += 1;
        self.kills += u64::from(is_killed);
        Ok(End { is_killed, stdout: String::from_utf8_lossy(&output.stdout).into_owned(), stderr })
    }

    fn next_name(&mut self, what: &str) -> String {
        self.made += 1;
        format!("{what}-{}-{}", self.number, self.made)
    }

    /// One of these; none where there are none.
    fn pick<T>(&mut self, among: Vec<T>) -> Option<T> {
        let chosen = usize::try_from(self.draw.below(among.len() as u64)).ok()?;
        among.into_iter().nth(chosen)
    }

    fn create(&mut self) -> Outcome<()> {
        let name = self.next_name("made");
        let sort = match self.draw.below(6) {
            0 => Sort::Tripwire,
            1 | 2 => Sort::Pair,
            _ => Sort::Secret,
        };
        let able = self.accounts.iter().filter(|account| matches!(account.state(), Some("active" | "disabled")));
        let able: Vec<String> = able.map(|account| account.id.clone()).collect();
        let account = if self.draw.below(3) == 0 { None } else { self.pick(able) };
        let mut arguments = vec!["keys", "create", "--name", &name, "--json"];
        arguments.extend(sort.arguments());
        arguments.extend(account.iter().flat_map(|account| ["--account", account]));
        let end = self.run(&arguments)?;
        self.keep(&end, (name, sort, account))
    }

    /// Makes a key like one that works.
    fn clone_key(&mut self) -> Outcome<()> {
        // Which of two clones that nobody was told of is there could not be told.
        let is_alone = |key: &Key| !self.keys.iter().any(|other| other.name == key.name && other.may_be_any());
        let certain = |key: &Key| {
            let original = (key.name.clone(), key.sort, key.account.clone());
            Some((key.id.clone().filter(|_| key.standing().is_some_and(|now| now.state == "active"))?, original))
        };
        let able: Vec<_> = self.keys.iter().filter(|key| is_alone(key)).filter_map(certain).collect();
        let Some((id, original)) = self.pick(able) else { return self.create() };
        let end = self.run(&["keys", "clone", &id, "--json"])?;
        self.keep(&end, original)
    }

    /// Takes down a key that a command has made, or may have.
    fn keep(&mut self, end: &End, (name, sort, account): (String, Sort, Option<String>)) -> Outcome<()> {
        let record = end.printed();
        if record.is_none() && !end.is_killed {
            return Err(format!("{name}: no key in {:?}", end.stdout).into());
        }
        let mut key = Key::made(name, sort, account, (record.as_ref().and_then(value), record.is_some()));
        key.id = record.as_ref().and_then(|record| text(record, "id"));
        self.keys.push(key);
        Ok(())
    }

    fn create_account(&mut self) -> Outcome<()> {
        let id = self.next_name("account");
        let able = self.accounts.iter().filter(|above| above.parent.is_none());
        let able = able.filter(|above| matches!(above.state(), Some("active" | "disabled")));
        let able: Vec<String> = able.map(|above| above.id.clone()).collect();
        let parent = if self.draw.below(2) == 0 { None } else { self.pick(able) };
        let mut arguments = vec!["accounts", "create", &id, "--json"];
        arguments.extend(parent.iter().flat_map(|parent| ["--parent", parent]));
        let end = self.run(&arguments)?;
        self.accounts.push(Account::made(id, parent, end.printed().is_some() || end.was_told("Made the account")));
        Ok(())
    }

    /// Changes one of the accounts that are in no doubt; where there is none, makes one.
    fn change_account(&mut self) -> Outcome<()> {
        let certain = |(place, account): (usize, &Account)| {
            let state = account.state().filter(|state| *state != "deleted")?;
            let holds = self.keys.iter().any(|key| key.account.as_ref() == Some(&account.id))
                || self.accounts.iter().any(|below| below.parent.as_ref() == Some(&account.id));
            let act = if state == "active" { AccountAct::Disable } else { AccountAct::Enable };
            Some((place, account.id.clone(), if holds { act } else { AccountAct::Delete }))
        };
        let able: Vec<_> = self.accounts.iter().enumerate().filter_map(certain).collect();
        let Some((place, id, act)) = self.pick(able) else { return self.create_account() };
        let end = self.run(&["accounts", act.word(), &id])?;
        let is_told = end.was_told(" now. Running gateways");
        self.accounts.iter_mut().skip(place).take(1).for_each(|account| account.take(act, is_told));
        Ok(())
    }

    /// Makes a store of its own with its first key. Whatever a kill left of it, the next command goes on with it.
    fn begin_store(&mut self) -> Outcome<()> {
        let name = self.next_name("store");
        let path = format!("log/{name}.db");
        let store = format!("sqlite:{path}");
        let create = ["keys", "create", "--name", "first", "--scopes", SCOPE, "--json", "--store", &store];
        let first = self.run(&create)?.printed();
        let finish =
            |arguments: &[&str]| -> Outcome<Value> { Ok(serde_json::from_slice(&done(&self.folder, arguments)?)?) };
        let mut acknowledged = vec![finish(&create)?];
        acknowledged.extend(first);
        let list = finish(&["keys", "list", "--json", "--store", &store])?;
        let listed = list.get("keys").and_then(Value::as_array).ok_or("no list")?;
        let ids: Vec<_> = listed.iter().map(|record| text(record, "id")).collect();
        if ids.len() > 2 || acknowledged.iter().any(|record| !ids.contains(&text(record, "id"))) {
            return Err(format!("{name} has {ids:?} and must have {acknowledged:?}").into());
        }
        sound(&self.folder.join(&path))?;
        for end in ["", "-wal", "-shm"] {
            // The last one who closes a store takes what stands beside it away.
            let _ = fs::remove_file(self.folder.join(format!("{path}{end}")));
        }
        Ok(())
    }

    fn import(&mut self) -> Outcome<()> {
        let batch = self.next_name("import");
        // Names and values are the same words here: what matters is that no two are the same.
        let names: Vec<String> = (0..TOGETHER).map(|place| format!("{batch}/{place}")).collect();
        let value = |name: &str| format!("legacy-{}", name.replace('/', "-"));
        let line = |name: &String| format!("{name},{},{SCOPE},{batch}\n", value(name));
        let lines: Vec<String> = names.iter().map(line).collect();
        let file = format!("log/{batch}.csv");
        fs::write(self.folder.join(&file), format!("name,key,scopes,account\n{}", lines.concat()))?;
        let end = self.run(&["keys", "import", "--create-accounts", &file])?;
        fs::remove_file(self.folder.join(&file))?;
        let is_sure = end.was_told(" imported.");
        self.keys.extend(names.into_iter().map(|name| {
            let value = value(&name);
            let mut key = Key::made(name, Sort::Secret, Some(batch.clone()), (Some(value), is_sure));
            key.batch = Some(batch.clone());
            key
        }));
        let account = Account::made(batch.clone(), None, is_sure);
        self.accounts.push(Account { batch: Some(batch), ..account });
        Ok(())
    }

    /// Changes one of the keys that are in no doubt; where there is none, makes one.
    fn change(&mut self) -> Outcome<()> {
        let certain = |(place, key): (usize, &Key)| {
            let (id, standing) = (key.id.clone()?, key.standing()?);
            (standing.state != "deleted").then(|| (place, id, (key.sort, standing.state.clone())))
        };
        let able: Vec<_> = self.keys.iter().enumerate().filter_map(certain).collect();
        let Some((place, id, (sort, state))) = self.pick(able) else { return self.create() };
        let acts: &[Act] = match &*state {
            "active" => &[Act::Disable, Act::Revoke, Act::Rotate, Act::Rotate, Act::Retire, Act::Delete],
            "disabled" => &[Act::Enable, Act::Enable, Act::Revoke, Act::Rotate],
            _ => &[Act::Delete],
        };
        let act = self.pick(acts.to_vec()).unwrap_or(Act::Delete);
        let end = self.run(&act.arguments(sort, &id))?;
        let value = end.printed().as_ref().and_then(value);
        if act.prints() && value.is_none() && !end.is_killed {
            return Err(format!("{id}: no value in {:?}", end.stdout).into());
        }
        let is_told = if act.prints() { value.is_some() } else { end.was_told(" now. Running gateways") };
        if let Some(key) = self.keys.get_mut(place) {
            if is_told { key.acknowledge(act, value) } else { key.doubt(act) }
        }
        Ok(())
    }
}
