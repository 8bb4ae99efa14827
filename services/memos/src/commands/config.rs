//! `memos config`: what is in force, and who said so.

use std::io::Write;

use service_runtime::Setting;

use crate::cli::ConfigArgs;
use crate::settings;

/// Prints the settings in force, or the documented defaults.
pub(crate) fn run(args: &ConfigArgs, out: &mut impl Write) -> anyhow::Result<()> {
    if args.defaults {
        out.write_all(settings::DEFAULTS.as_bytes())?;
        return Ok(());
    }
    let loaded = settings::load(&args.settings)?;
    // The sources stand in one column, but a long value does not push the others off the screen.
    let line = |setting: &Setting| format!("{} = {}", setting.key, shown(setting));
    let width = loaded.origins.iter().map(|setting| line(setting).len()).filter(|length| *length <= 48).max();
    let width = width.unwrap_or_default();
    let mut section = "";
    for setting in &loaded.origins {
        let this = setting.key.split_once('.').map_or("", |(section, _)| section);
        if this != section && !section.is_empty() {
            writeln!(out)?;
        }
        section = this;
        writeln!(out, "{:width$}  # {}", line(setting), setting.source)?;
    }
    // What the tenants' domains come to. It stands in comments, because the settings above say it already.
    for (tenant, own) in &loaded.settings.tenant_rules {
        writeln!(out, "\n# tenant {}", tenant.as_str())?;
        for setting in &own.different {
            writeln!(out, "# {:width$}  {}", line(setting), setting.source)?;
        }
    }
    Ok(())
}

/// The value, unless it is a secret. A properties table of librdkafka may hold one under any name.
fn shown(setting: &Setting) -> &str {
    let secret = ["password", "internal_key", "kafka.extra"].iter().any(|name| setting.key.ends_with(name));
    let empty = matches!(setting.value.as_str(), "\"\"" | "{}" | "{  }" | "{ }");
    match (secret && !empty, setting.key.ends_with("extra")) {
        (false, _) => &setting.value,
        (true, false) => "\"***\"",
        (true, true) => "{ } # not shown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::SettingsArgs;

    fn printed(args: &ConfigArgs) -> String {
        let mut out = Vec::new();
        run(args, &mut out).expect("it prints");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn every_setting_is_shown_with_its_origin_and_the_output_is_a_settings_file() {
        let settings = SettingsArgs { set: vec!["recall.batch_records=7".to_owned()], ..SettingsArgs::default() };
        let text = printed(&ConfigArgs { settings, defaults: false });
        let line = text.lines().find(|line| line.starts_with("recall.batch_records = 7 ")).expect("it is shown");
        assert!(line.ends_with("# flag"), "{line}");
        assert!(text.lines().any(|line| line.starts_with("gateway.workers = 2 ") && line.ends_with("# default")));

        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("memos.toml");
        std::fs::write(&file, &text).expect("the file is written");
        let args = SettingsArgs { config: Some(file), ..SettingsArgs::default() };
        assert_eq!(settings::load(&args).expect("it loads").settings.recall.batch_records, 7);
    }

    #[test]
    fn what_a_domain_sets_is_shown_as_its_own_and_what_a_tenant_has_stands_below() {
        let set = ["domain=support", "tenants={ clinic = { domain = \"health\", rules = { keep_at = 7 } } }"];
        let settings = SettingsArgs { set: set.map(str::to_owned).to_vec(), ..SettingsArgs::default() };
        let text = printed(&ConfigArgs { settings, defaults: false });
        let shown = |key: &str, source: &str| text.lines().any(|line| line.starts_with(key) && line.ends_with(source));
        assert!(shown("rules.bank_max = 5000 ", "# domain support"), "{text}");
        assert!(shown("rules.salient_at = 780 ", "# default"), "{text}");
        let (_, below) = text.split_once("\n# tenant clinic\n").expect("it has a part of its own");
        assert!(below.contains("# rules.keep_at = 7 ") && below.contains("tenants.clinic"), "{below}");
        assert!(below.contains("# rules.bank_max = 50000 ") && below.contains("domain health"), "{below}");
        assert!(below.contains("# rules.gap_seconds = 1800 "), "support has set it, and health has not: {below}");
    }

    #[test]
    fn secrets_are_not_shown() {
        let set = [
            "kafka.security.password=hunter2",
            "kafka.security.key_password=hunter2",
            "gateway.recall.internal_key=hunter2hunter2hunter2hunter2hunter2",
            "recall.server.internal_key=hunter2hunter2hunter2hunter2hunter2",
            "kafka.extra={ \"ssl.key.pem\" = \"hunter2\" }",
        ];
        let settings = SettingsArgs { set: set.map(str::to_owned).to_vec(), ..SettingsArgs::default() };
        let text = printed(&ConfigArgs { settings, defaults: false });
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("kafka.security.username = \"\" "), "what is no secret is shown: {text}");
    }

    #[test]
    fn the_defaults_are_printed_as_they_are_documented() {
        assert_eq!(printed(&ConfigArgs { settings: SettingsArgs::default(), defaults: true }), settings::DEFAULTS);
    }
}
