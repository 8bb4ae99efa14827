use super::*;
use crate::content::Content;
use crate::event::Role;
use crate::ids::EventId;
use crate::rules::Rules;
use crate::text::list::lines;
use crate::time::Timestamp;

fn event(role: Role, text: &str) -> Event {
    Event {
        id: EventId::try_new("e").expect("an id"),
        kind: EventType::Turn,
        user_id: Some("u".to_owned()),
        agent_id: None,
        app_id: None,
        session_id: None,
        role,
        speaker: None,
        content: Content::Text(text.to_owned()),
        time: Timestamp::EPOCH,
        origin: role.origin(),
        remember: true,
        recalled: false,
        tags: Vec::new(),
        metadata: serde_json::Map::new(),
        control: None,
    }
}

fn salience(role: Role, text: &str) -> u16 {
    of(&event(role, text), None, &Rules::default()).total
}

fn parts(text: &str) -> Parts {
    parts::of(text, None, &[])
}

/// What a part adds to the total of a text, after another one.
fn adds(text: &str, before: Option<&str>, without: impl FnOnce(&mut Weights)) -> i32 {
    let (event, before) = (event(Role::User, text), before.map(|before| event(Role::Assistant, before)));
    let total = |rules: &Rules| i32::from(of(&event, before.as_ref(), rules).total);
    let mut fewer = Rules::default();
    without(&mut fewer.weights);
    total(&Rules::default()) - total(&fewer)
}

#[test]
fn what_matters_outweighs_small_talk() {
    let matters = [
        "I'm allergic to penicillin, it put me in hospital in March.",
        "We moved to Berlin last Tuesday and I started at Siemens.",
        "I felt so lonely and scared after my mother died.",
        "Please remember that my daughter is called Ines.",
        "Ich bin im März mit meiner Schwester nach München gezogen.",
        "Me mudé a Sevilla en enero con mi hermana.",
        "我去年三月和我的姐姐一起搬到了北京。",
    ];
    let small_talk = [
        "Hi there!",
        "Thanks a lot.",
        "Ok.",
        "How are you?",
        "Sounds good to me",
        "haha",
        "That's so cool! Keep it up!",
        "Wow, that's amazing! Congrats!",
        "Good morning, how's it going?",
        "👍",
        "Vielen Dank!",
        "¡Muchas gracias!",
        "",
    ];
    let Rules { keep_at, .. } = Rules::default();
    for high in matters {
        let total = salience(Role::User, high);
        assert!(total >= keep_at + keep_at / 2, "{high}: {total}");
    }
    for low in small_talk {
        let total = salience(Role::User, low);
        assert!(total < keep_at, "{low}: {total}");
    }
}

#[test]
fn every_part_counts() {
    assert!(adds("I live with my sister and I decided to stay.", None, |w| w.disclosure = 0) > 50);
    assert!(adds("The lease of 4471 ends on Friday in Turin.", None, |w| w.concreteness = 0) > 50);
    assert!(adds("I am absolutely devastated.", None, |w| w.emotion = 0) > 50);
    assert!(adds("A walnut farm", Some("Where did you grow up?"), |w| w.answer = 0) > 50);
    assert!(adds("The kiln cracked the porcelain glaze.", None, |w| w.substance = 0) > 50);
    assert!(adds("Please remember that it is blue.", None, |w| w.explicit = 0) > 200);
    assert!(adds("There is penicillin in it.", None, |w| w.safety = 0) > 200);
    assert!(adds("Thanks so much, that is awesome, kiln works great.", None, |w| w.small_talk = 0) < -20);
}

#[test]
fn a_part_sees_what_it_is_for_and_nothing_else() {
    assert_eq!(parts("The kiln is hot.").disclosure, 0);
    assert!(parts("My sister and I moved.").disclosure > parts("I am here.").disclosure);
    assert_eq!(parts("the kiln cracked").concreteness, 0);
    assert_eq!(parts("Hey Anna! Thanks, Anna.").concreteness, 0, "an address is no name");
    assert!(parts("I met Anna.").concreteness > 0);
    assert!(
        parts("My neighbour read \"The walnut farm\" twice").concreteness
            > parts("My neighbour read it twice").concreteness
    );
    assert!(parts("That is awesome!").emotion < parts("I am so awesomely happy!").emotion);
    assert_eq!(parts("It is blue.").explicit, 0);
    assert_eq!(parts("We met at a doctor of law's.").safety, 0);
    assert_eq!(parts("Thanks!").small_talk, 1_000);
    assert_eq!(parts("The kiln cracked.").small_talk, 0);
}

#[test]
fn an_answer_follows_a_question_and_an_echo_says_nothing_new() {
    let after = |before| parts::of("The porcelain kiln, mostly.", Some(before), &[]);
    assert!(after("What do you use?").answer > 0);
    assert_eq!(after("I know what you use.").answer, 0);
    assert_eq!(parts::of("Thanks!", Some("What do you use?"), &[]).answer, 0, "thanks answer nothing");
    assert!(after("That porcelain kiln is heavy.").substance < after("I see.").substance / 2);
    assert_eq!(parts("kiln kiln kiln").substance, parts("kiln").substance, "once is enough");
}

#[test]
fn rare_words_say_more_than_common_ones() {
    assert!(parts("porcelain glaze").substance > parts("water people").substance);
    assert!(words::rank("the").is_some_and(|rank| rank < 10) && words::rank("porcelain").is_none());
    assert_eq!(words::rank("schools"), words::rank("school"));
}

#[test]
fn the_users_word_counts_more_than_the_assistants() {
    let text = "I moved to Berlin in March and work at Siemens.";
    assert_eq!(salience(Role::User, text) / 2, salience(Role::Assistant, text));
}

#[test]
fn a_question_tells_little() {
    assert!(salience(Role::User, "Where is my parcel 4471?") < salience(Role::User, "My parcel is number 4471."));
}

#[test]
fn whatever_is_about_safety_is_kept_when_the_user_says_it() {
    let Rules { keep_at, .. } = Rules::default();
    for line in lines(include_str!("safety.txt")) {
        let word = line.entry.replace('_', " ").replace('*', "");
        for text in [format!("{word}?"), format!("ok thanks, that's great, wow! {word}. thanks so much! awesome!")] {
            let total = salience(Role::User, &text);
            assert!(total >= keep_at, "{text}: {total}");
        }
    }
    for line in lines(include_str!("told.txt")).filter(|line| line.class == "explicit") {
        let total = salience(Role::User, &line.entry.replace('_', " "));
        assert!(total >= keep_at, "{}: {total}", line.entry);
    }
}

#[test]
fn odd_texts_have_a_salience_too() {
    let odd = [
        String::new(),
        "🎉🎉🎉".to_owned(),
        "a".repeat(64 * 1024),
        "word ".repeat(13 * 1024),
        "我".repeat(20 * 1024),
        "!?".repeat(32 * 1024),
        ":-(".repeat(20 * 1024),
        "أعيش في القاهرة منذ عام 2019".to_owned(),
        "\u{202e}\u{0}\u{fffd}\"''".to_owned(),
    ];
    for text in odd {
        let one = parts(&text);
        assert_eq!(one, parts(&text));
        assert!(one.named().iter().all(|(_, part)| *part <= FULL));
        assert!(salience(Role::User, &text) <= FULL);
    }
}

#[test]
fn controls_and_what_they_say_have_none() {
    let mut control = event(Role::User, "I live in Berlin.");
    control.kind = EventType::Remember;
    assert_eq!(of(&control, None, &Rules::default()), Salience::default());
}

#[test]
fn a_topic_that_the_rules_name_is_of_safety() {
    let topics = ["Oxygen tank", "wheelchair*"].map(str::to_owned);
    let safety = |text: &str| parts::of(text, None, &topics).safety;
    assert_eq!(safety("My oxygen tank is in the hall."), 700);
    assert_eq!(safety("The oxygen is fine, and so is the tank."), 0);
    assert_eq!(safety("Two wheelchairs and an Oxygen Tank"), 1_000);
    assert_eq!(safety("No more oxygen"), 0);
    let said = event(Role::User, "My oxygen tank is in the hall.");
    let rules = Rules { safety_topics: topics.to_vec(), ..Rules::default() };
    assert!(of(&said, None, &rules).total > of(&said, None, &Rules::default()).total);
}
