//! The days that a text speaks of.
//!
//! A memory tells of "yesterday" or "last June" as seen from when it was said; a question may name a date, or count back
//! from now. Both become spans of days, and a span is compared with a span. Only English words and numbers are read:
//! elsewhere the day of the event itself still counts.

use crate::time::Timestamp;

const DAY_MICROS: i64 = 86_400_000_000;
/// Years in which a date is believed.
const YEARS: std::ops::Range<i32> = 1901..2100;

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
const NUMBERS: [&str; 13] =
    ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"];

/// Days since 1970-01-01, the last one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) from: i32,
    pub(super) to: i32,
}

impl Span {
    const fn day(day: i32) -> Self {
        Self { from: day, to: day }
    }

    const fn month(year: i32, month: i32) -> Self {
        let (next, after) = if month == 12 { (year + 1, 1) } else { (year, month + 1) };
        Self { from: days(year, month, 1), to: days(next, after, 1) - 1 }
    }

    const fn year(year: i32) -> Self {
        Self { from: days(year, 1, 1), to: days(year, 12, 31) }
    }

    /// Days between two spans; 0 where they meet.
    pub(super) const fn gap(self, other: Self) -> i64 {
        if self.to < other.from {
            (other.from - self.to) as i64
        } else if other.to < self.from {
            (self.from - other.to) as i64
        } else {
            0
        }
    }

    /// How much a span of this length narrows the search, in 1/1000: all of it for a day, half for forty.
    pub(super) const fn sharpness(self) -> i64 {
        40_000 / (40 + (self.to - self.from) as i64)
    }
}

/// A span that a question asks about, and how much it narrows the search, in 1/1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) span: Span,
    pub(super) sharpness: i64,
}

/// The day of a point in time.
pub(super) fn day_of(time: Timestamp) -> i32 {
    i32::try_from(time.micros().div_euclid(DAY_MICROS)).unwrap_or(0)
}

/// The year of a day.
pub(super) const fn year_of(day: i32) -> i32 {
    civil(day).0
}

/// What a text that was said on `day` speaks of.
pub(super) fn spoken_of(text: &str, day: i32) -> Vec<Span> {
    let here = year_of(day);
    let (mut counted, named) = spans(text, day, &[here]);
    counted.extend(named);
    counted
}

/// What a question that is asked on `day` asks about, in a memory that reaches over `years`. A month without a year is
/// that month of every year. What is counted back from now narrows half as much: people also ask in the words that were
/// said then.
pub(super) fn asked_about(text: &str, day: i32, years: std::ops::RangeInclusive<i32>) -> Vec<Asked> {
    let years: Vec<i32> = years.rev().take(30).collect();
    let (counted, named) = spans(text, day, &years);
    let counted = counted.into_iter().map(|span| Asked { span, sharpness: span.sharpness() / 2 });
    counted.chain(named.into_iter().map(|span| Asked { span, sharpness: span.sharpness() })).collect()
}

/// The spans that are counted from `day`, and those that have a name.
fn spans(text: &str, day: i32, years: &[i32]) -> (Vec<Span>, Vec<Span>) {
    let raw = pieces(text);
    let words: Vec<String> = raw.iter().map(|word| word.to_ascii_lowercase()).collect();
    let (mut counted, mut found) = (Vec::new(), Vec::new());
    let mut named = false;
    for (i, word) in words.iter().enumerate() {
        let before = if i == 0 { "" } else { words[i - 1].as_str() };
        let capital = raw[i].starts_with(|c: char| c.is_ascii_uppercase());
        match word.as_str() {
            "yesterday" => counted.push(Span::day(day - 1)),
            "today" | "tonight" => counted.push(Span::day(day)),
            "morning" | "afternoon" | "evening" if before == "this" => counted.push(Span::day(day)),
            "tomorrow" => counted.push(Span::day(day + 1)),
            "last" | "past" => counted.extend(beside(day, -1, words.get(i + 1))),
            "this" => counted.extend(beside(day, 0, words.get(i + 1))),
            "next" => counted.extend(beside(day, 1, words.get(i + 1))),
            "ago" => counted.extend(ago(day, &words[..i])),
            _ if matches!(before, "last" | "past" | "this" | "next") => {}
            other => {
                if let Some(weekday) = WEEKDAYS.iter().position(|name| *name == other) {
                    counted.push(Span::day(day + weekday_of(weekday, day) - 7));
                } else if let Some(month) = month(other, capital) {
                    named = true;
                    found.extend(dated(&words, i, month, years));
                } else if let Some(year) = number(other).filter(|year| YEARS.contains(year)) {
                    found.extend(year_alone(&words, i, year, &mut named));
                }
            }
        }
    }
    (counted, found)
}

/// Runs of ASCII letters, and runs of digits.
fn pieces(text: &str) -> Vec<&str> {
    let kind = |byte: u8| if byte.is_ascii_alphabetic() { 1 } else { 2 * u8::from(byte.is_ascii_digit()) };
    let runs = text.as_bytes().chunk_by(|a, b| kind(*a) == kind(*b));
    let mut start = 0;
    let mut pieces = Vec::new();
    for run in runs {
        if kind(run[0]) != 0 {
            pieces.push(&text[start..start + run.len()]);
        }
        start += run.len();
    }
    pieces
}

/// "last week", "this month", "next Friday", "last summer".
fn beside(day: i32, step: i32, what: Option<&String>) -> Option<Span> {
    let what = what?.as_str();
    let monday = day - (day + 3).rem_euclid(7);
    let (year, current, _) = civil(day);
    match what {
        "week" => Some(Span { from: monday + 7 * step, to: monday + 7 * step + 6 }),
        "weekend" => {
            let saturday = monday + 5 + 7 * step;
            Some(Span { from: saturday - i32::from(step < 0), to: saturday + 1 })
        }
        "month" => Some(month_beside(year, current, step)),
        "year" => Some(Span::year(year + step)),
        "night" if step < 0 => Some(Span::day(day - 1)),
        "spring" | "summer" | "fall" | "autumn" | "winter" => {
            let begins = match what {
                "spring" => 3,
                "summer" => 6,
                "winter" => 12,
                _ => 9,
            };
            let shift = i32::from(step > 0 && begins <= current) - i32::from(step < 0 && begins + 2 >= current);
            let from = days(year + shift, begins, 1);
            Some(Span { from, to: from + 92 })
        }
        other => {
            if let Some(weekday) = WEEKDAYS.iter().position(|name| *name == other) {
                let ahead = weekday_of(weekday, day);
                let offset = if step < 0 { ahead - 7 } else { ahead + 7 * i32::from(step > 0 && ahead == 0) };
                return Some(Span::day(day + offset));
            }
            let named = month(other, true)?;
            let shift = i32::from(step > 0 && named <= current) - i32::from(step < 0 && named >= current);
            Some(Span::month(year + shift, named))
        }
    }
}

/// "two weeks ago", "a year ago", "10 days ago".
fn ago(day: i32, before: &[String]) -> Option<Span> {
    let (unit, rest) = before.split_last()?;
    let count = rest.iter().rev().take(2).find_map(|word| number(word).or_else(|| counted(word)))?;
    if !(1..200).contains(&count) {
        return None;
    }
    let (year, current, _) = civil(day);
    match unit.trim_end_matches('s') {
        "day" => Some(Span::day(day - count)),
        "week" | "weekend" => Some(Span { from: day - 7 * count - 3, to: day - 7 * count + 3 }),
        "month" => Some(month_beside(year, current, -count)),
        "year" if count < 100 => Some(Span::year(year - count)),
        _ => None,
    }
}

/// A month, with a day and a year where they stand beside it; without a year, in each of `years`.
fn dated(words: &[String], at: usize, month: i32, years: &[i32]) -> Vec<Span> {
    let (mut day, mut year) = (None, None);
    for (near, place) in [(true, at.checked_sub(1)), (true, at.checked_sub(2)), (true, Some(at + 1))]
        .into_iter()
        .chain([(true, Some(at + 2)), (false, Some(at + 3))])
    {
        match place.and_then(|place| words.get(place)).and_then(|word| number(word)) {
            Some(value) if YEARS.contains(&value) => year = year.or(Some(value)),
            Some(value) if near && (1..=31).contains(&value) => day = day.or(Some(value)),
            Some(_) | None => {}
        }
    }
    let one = |year: i32| match day {
        Some(day) => Span::day(days(year, month, day)),
        None => Span::month(year, month),
    };
    year.map_or_else(|| years.iter().map(|year| one(*year)).collect(), |year| vec![one(year)])
}

/// A year that belongs to no month just before it; "2023-05-07" is a day.
fn year_alone(words: &[String], at: usize, year: i32, named: &mut bool) -> Option<Span> {
    let part = |place: usize, most: i32| {
        words.get(place).filter(|word| word.len() == 2).and_then(|word| number(word)).filter(|n| (1..=most).contains(n))
    };
    if let (Some(month), Some(day)) = (part(at + 1, 12), part(at + 2, 31)) {
        return Some(Span::day(days(year, month, day)));
    }
    let follows_a_month = *named && words[at.saturating_sub(3)..at].iter().any(|word| month(word, true).is_some());
    (!follows_a_month).then(|| Span::year(year))
}

/// The number of a month by its name. Names that are also other words, and short forms, need a capital.
fn month(word: &str, capital: bool) -> Option<i32> {
    let place = MONTHS.iter().position(|name| {
        let whole = word == *name && (capital || !matches!(word, "may" | "march"));
        let short = capital && (word.len() == 3 && name.starts_with(word) || word == "sept" && name.starts_with(word));
        whole || short
    })?;
    i32::try_from(place + 1).ok()
}

fn number(word: &str) -> Option<i32> {
    word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

fn counted(word: &str) -> Option<i32> {
    match word {
        "a" | "an" => Some(1),
        "couple" => Some(2),
        "few" => Some(3),
        "several" => Some(4),
        other => NUMBERS.iter().position(|name| *name == other).and_then(|place| i32::try_from(place).ok()),
    }
}

/// Days from `day` to the next such weekday, 0 to 6; 1970-01-01 was a Thursday.
fn weekday_of(weekday: usize, day: i32) -> i32 {
    (i32::try_from(weekday).unwrap_or(0) - (day + 3)).rem_euclid(7)
}

const fn month_beside(year: i32, month: i32, step: i32) -> Span {
    let months = year * 12 + month - 1 + step;
    Span::month(months.div_euclid(12), months.rem_euclid(12) + 1)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar (Hinnant, `days_from_civil`). A day beyond the month's end
/// runs on into the next.
const fn days(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01 (Hinnant, `civil_from_days`).
const fn civil(day: i32) -> (i32, i32, i32) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + if month <= 2 { 1 } else { 0 };
    (year, month, of_year - (153 * shifted_month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday.
    const SAID: i32 = days(2023, 5, 8);

    fn check(text: &str, from: (i32, i32, i32), to: (i32, i32, i32)) {
        let expected = Span { from: days(from.0, from.1, from.2), to: days(to.0, to.1, to.2) };
        assert_eq!(spoken_of(text, SAID), [expected], "{text}");
    }

    #[test]
    fn days_and_dates_are_each_others_inverse() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert!((-200_000..200_000).step_by(17).all(|day| {
            let (year, month, of_month) = civil(day);
            days(year, month, of_month) == day
        }));
    }

    #[test]
    fn what_is_said_of_time_is_resolved_from_the_day_it_was_said() {
        check("I went yesterday", (2023, 5, 7), (2023, 5, 7));
        check("it was last week", (2023, 5, 1), (2023, 5, 7));
        check("last weekend!", (2023, 5, 5), (2023, 5, 7));
        check("we met last Friday", (2023, 5, 5), (2023, 5, 5));
        check("since Friday", (2023, 5, 5), (2023, 5, 5));
        check("next month", (2023, 6, 1), (2023, 6, 30));
        check("two years ago", (2021, 1, 1), (2021, 12, 31));
        check("a couple of days ago", (2023, 5, 6), (2023, 5, 6));
        check("last summer", (2022, 6, 1), (2022, 9, 1));
        check("on 7 July, 2022", (2022, 7, 7), (2022, 7, 7));
        check("in March", (2023, 3, 1), (2023, 3, 31));
        check("in 2019", (2019, 1, 1), (2019, 12, 31));
        check("on 2023-05-07", (2023, 5, 7), (2023, 5, 7));
        assert_eq!(spoken_of("it may march on, 42 times", SAID), []);
    }

    #[test]
    fn a_question_without_a_year_asks_of_every_year() {
        let asked = asked_about("What happened in June?", SAID, 2021..=2023);
        assert_eq!(asked.len(), 3);
        let june: Vec<Span> =
            asked_about("What happened in June 2022?", SAID, 2021..=2023).iter().map(|a| a.span).collect();
        assert_eq!(june, [Span::month(2022, 6)]);
    }

    #[test]
    fn a_day_counted_back_from_now_narrows_half_as_much_as_one_that_is_named() {
        let asked = |text| asked_about(text, SAID, 2023..=2023)[0];
        let (counted, named) = (asked("What did I eat yesterday?"), asked("What did I eat on 7 May, 2023?"));
        assert_eq!((counted.span, counted.sharpness), (named.span, named.sharpness / 2));
    }

    #[test]
    fn spans_that_meet_have_no_gap_and_short_ones_are_sharp() {
        assert_eq!(Span::month(2023, 5).gap(Span::day(SAID)), 0);
        assert_eq!(Span::day(SAID + 3).gap(Span::day(SAID)), 3);
        assert!(Span::day(SAID).sharpness() > Span::month(2023, 5).sharpness());
        assert!(Span::month(2023, 5).sharpness() > Span::year(2023).sharpness());
    }
}
