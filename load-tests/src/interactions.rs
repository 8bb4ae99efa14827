//! What the users of a load test say. Everything is a function of the seed and a number, so a ledger need not hold
//! texts, users or ids: the number says all.
//!
//! Most sentences are about the speaker and hold names and numbers, because such turns are kept and cost the server its
//! full work; the rest are answers and small talk, which it must weigh and drop.

use serde_json::{Value, json};

const FIRST: [&str; 32] = [
    "Amara", "Bjorn", "Carmen", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Keiko", "Lucia", "Mateo",
    "Nadia", "Oskar", "Petra", "Quentin", "Rosa", "Samir", "Tilda", "Umar", "Vera", "Wanda", "Xenia", "Yusuf", "Zora",
    "Anton", "Bianca", "Cyrus", "Dalia", "Emil", "Freya",
];
const LAST: [&str; 32] = [
    "Abara",
    "Berg",
    "Castillo",
    "Dumont",
    "Eriksen",
    "Fontana",
    "Gruber",
    "Haddad",
    "Ivanov",
    "Jensen",
    "Kowalski",
    "Lindqvist",
    "Moreau",
    "Novak",
    "Okafor",
    "Pereira",
    "Quist",
    "Romano",
    "Sato",
    "Torres",
    "Ueda",
    "Varga",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zeman",
    "Acosta",
    "Bauer",
    "Costa",
    "Dahl",
    "Endo",
    "Flores",
];
const PLACE: [&str; 32] = [
    "Lisbon", "Bergen", "Valencia", "Tallinn", "Izmir", "Tunis", "Graz", "Osaka", "Porto", "Aarhus", "Sapporo",
    "Lucca", "Bogota", "Split", "Turku", "Brno", "Nantes", "Oaxaca", "Beirut", "Uppsala", "Lagos", "Riga", "Gdansk",
    "Varna", "Ankara", "Zadar", "Kazan", "Bari", "Shiraz", "Haifa", "Leipzig", "Bodo",
];
const THING: [&str; 32] = [
    "copper kettle",
    "road bike",
    "violin",
    "greenhouse",
    "sewing machine",
    "kayak",
    "telescope",
    "piano",
    "camper van",
    "loom",
    "espresso machine",
    "darkroom",
    "beehive",
    "pottery wheel",
    "drum kit",
    "sailing boat",
    "printing press",
    "lathe",
    "aquarium",
    "typewriter",
    "accordion",
    "chess set",
    "weather station",
    "workbench",
    "canoe",
    "bookcase",
    "rowing machine",
    "microscope",
    "tent",
    "cello",
    "record player",
    "fig tree",
];
const TOPIC: [&str; 24] = [
    "migraine",
    "mortgage",
    "visa application",
    "thesis",
    "knee surgery",
    "wedding",
    "tax return",
    "choir concert",
    "driving test",
    "apprenticeship",
    "marathon",
    "kitchen renovation",
    "court date",
    "language exam",
    "adoption",
    "retirement party",
    "job interview",
    "allergy test",
    "house move",
    "book launch",
    "school play",
    "grant proposal",
    "dental implant",
    "insurance claim",
];
const MONTH: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const CHATTER: [&str; 8] = [
    "Okay, thanks.",
    "Sure, go on.",
    "Hm, let me think about that.",
    "Great, that helps.",
    "Hello again!",
    "No, that is all for now.",
    "Could you say that again?",
    "Sounds good to me.",
];

/// A small generator with known behaviour: the same numbers everywhere and for ever.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// The dice for `number` under `seed`.
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut dice = Self(seed ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        dice.roll();
        dice
    }

    fn roll(&mut self) -> u64 {
        // splitmix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[usize::try_from(self.below(words.len() as u64)).expect("an index")]
    }
}

/// The name of the user with this number.
pub(crate) fn user(number: u64) -> String {
    format!("load-user-{number}")
}

/// What one run says.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    /// Different for every run, so that no run repeats the ids of another.
    pub(crate) run: String,
    pub(crate) seed: u64,
    pub(crate) users: u64,
}

impl Script {
    /// The id of the interaction with this number.
    pub(crate) fn id(&self, number: u64) -> String {
        format!("load-{}-{number}", self.run)
    }

    /// The number of the user who says the interaction with this number.
    pub(crate) fn user(&self, number: u64) -> u64 {
        Dice::new(self.seed ^ 0x75_7365_7273, number).below(self.users)
    }

    /// The interaction with this number.
    pub(crate) fn interaction(&self, number: u64) -> Value {
        let mut dice = Dice::new(self.seed, number);
        let (role, content) = match dice.below(10) {
            0..=6 => ("user", statement(&mut dice)),
            7 => ("user", dice.pick(&CHATTER).to_owned()),
            8 | 9 => ("assistant", reply(&mut dice)),
            over => unreachable!("{over} is not below 10"),
        };
        let user = user(self.user(number));
        json!({
            "id": self.id(number), "user_id": user, "session_id": format!("{user}-{}", self.run),
            "role": role, "content": content,
        })
    }

    /// The interaction with this number among those that are followed. Its users are nobody else's, so that following
    /// changes nothing for the others.
    pub(crate) fn followed(&self, number: u64) -> Value {
        let mut dice = Dice::new(self.seed ^ 0x66_6f6c, number);
        let user = format!("followed-{}", dice.below(1_000));
        json!({
            "id": format!("load-{}-followed-{number}", self.run), "user_id": user,
            "session_id": format!("{user}-{}", self.run), "role": "user", "content": statement(&mut dice),
        })
    }

    /// Ends the user's session, so that everything said in it is decided upon.
    pub(crate) fn session_end(&self, user_number: u64) -> Value {
        let user = user(user_number);
        json!({
            "id": format!("load-{}-end-{user_number}", self.run), "type": "session_end", "user_id": user,
            "session_id": format!("{user}-{}", self.run),
        })
    }
}

/// A sentence about the speaker that is worth keeping.
pub(crate) fn statement(dice: &mut Dice) -> String {
    let name = format!("{} {}", dice.pick(&FIRST), dice.pick(&LAST));
    let (place, thing, topic) = (dice.pick(&PLACE), dice.pick(&THING), dice.pick(&TOPIC));
    let (number, day, month) = (dice.below(9_900) + 100, dice.below(28) + 1, dice.pick(&MONTH));
    match dice.below(12) {
        0 => format!(
            "I moved to {place} on {day} {month}, and my new landlord is {name}; the deposit was {number} euros."
        ),
        1 => format!("My sister {name} lives in {place} and turned {} on {day} {month}.", number % 60 + 20),
        2 => format!("I bought a {thing} from {name} in {place} for {number} dollars."),
        3 => format!("My {topic} is on {day} {month} in {place}, and {name} will drive me there."),
        4 => format!("I am allergic to penicillin, and my doctor {name} noted it under file {number} in {place}."),
        5 => format!("My colleague {name} and I sold the {thing} in {place} for {number} euros in {month}."),
        6 => format!("I was so happy when {name} came to {place} for my {topic} on {day} {month}."),
        7 => format!("Please remember that my locker number in {place} is {number} and {name} has the spare key."),
        8 => format!("I work with {name} on order {number}, a {thing} for a client in {place}, due {day} {month}."),
        9 => format!("My daughter plays the {thing} with {name} every {day}th of the month in {place}, room {number}."),
        10 => {
            format!("I failed my {topic} in {place} and feel terrible; {name} says I can repeat it on {day} {month}.")
        }
        11 => format!("My flight {number} to {place} leaves on {day} {month}, and {name} sits next to me."),
        over => unreachable!("{over} is not below 12"),
    }
}

fn reply(dice: &mut Dice) -> String {
    let (topic, place, day) = (dice.pick(&TOPIC), dice.pick(&PLACE), dice.below(28) + 1);
    format!("I have noted the {topic} in {place}. Would you like a reminder on the {day}th?")
}

/// A question about somebody.
pub(crate) fn question(dice: &mut Dice) -> String {
    let (name, place, thing, topic) = (dice.pick(&FIRST), dice.pick(&PLACE), dice.pick(&THING), dice.pick(&TOPIC));
    match dice.below(5) {
        0 => format!("Who is {name} and what happened in {place}?"),
        1 => format!("How much did the {thing} cost?"),
        2 => format!("When is the {topic}?"),
        3 => format!("What do I know about {place} and the {topic}?"),
        4 => format!("Which number did {name} note for the {thing}?"),
        over => unreachable!("{over} is not below 5"),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_says_the_same_and_different_numbers_differ() {
        let script = || Script { run: "r".to_owned(), seed: 7, users: 100 };
        assert_eq!(script().interaction(5), script().interaction(5));
        let script = script();
        let said: BTreeSet<String> = (0..2000).map(|number| statement(&mut Dice::new(7, number))).collect();
        assert!(said.len() > 1990, "{} different statements of 2000", said.len());
        let users: BTreeSet<u64> = (0..2000).map(|number| script.user(number)).collect();
        assert_eq!(users.len(), 100, "every user has a turn");
        assert_eq!(script.interaction(9)["user_id"], user(script.user(9)));
    }
}
