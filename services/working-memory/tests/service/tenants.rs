//! Every tenant's windows are closed by that tenant's rules.

use std::collections::BTreeMap;

use memory_core::{Handle, Recorded, Rules, RulesOf, TenantId, WorkingMemory};
use testkit::lively_history;

use crate::kit::{home, log, publish, settings, start_with, windows};

/// The same history, as another tenant's.
fn of(tenant: &TenantId, history: &[(Handle, Recorded)]) -> Vec<(Handle, Recorded)> {
    let moved = history.iter().map(|(_, recorded)| {
        let owner = recorded.event.subject(tenant).expect("an owner");
        (owner.handle(&testkit::secret()), Recorded { tenant: tenant.clone(), ..recorded.clone() })
    });
    moved.collect()
}

// law: L08
#[test]
fn windows_are_closed_by_the_rules_of_their_tenant() {
    let others = Rules { window_turns_max: 6, ..Rules::default() };
    let own = Rules { window_turns_max: 2, keep_at: 700, ..Rules::default() };
    let names = ["one", "two"].map(|name| TenantId::try_new(name).expect("a name"));
    let rules = RulesOf { others: others.clone(), tenants: BTreeMap::from([(names[1].clone(), own.clone())]) };
    let log = log();
    let home = home(&log);
    let history = lively_history(17, 4, 400);
    // A few subjects in RAM, so that some are read from the log again.
    let cramped = working_memory::Settings { active_max: 2, ..settings(16) };
    let service = start_with(&log, &home, cramped, rules, WorkingMemory::apply);
    names.iter().for_each(|name| publish(&log, &of(name, &history)));
    service.drain();
    service.stop().expect("it was told to");
    let mut seen = [0, 0];
    for window in windows(&log).into_values().flatten() {
        let tenant = &window.owner.as_ref().expect("an owner").tenant;
        let (place, wanted) = if *tenant == names[1] { (1, &own) } else { (0, &others) };
        assert_eq!(window.rules, *wanted);
        assert!(window.turns.iter().filter(|turn| turn.event.is_turn()).count() <= wanted.window_turns_max);
        seen[place] += 1;
    }
    assert!(seen[0] > 10 && seen[1] > seen[0], "{seen:?}");
}
