//! Messages in four languages.

use std::collections::{BTreeMap, BTreeSet};

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::LanguageIdentifier;

use crate::Language;

/// The messages about fields, which every form needs.
const OWN: [&str; 4] = [
    include_str!("../locales/en.ftl"),
    include_str!("../locales/ko.ftl"),
    include_str!("../locales/ja.ftl"),
    include_str!("../locales/ar.ftl"),
];

/// What is wrong with a set of messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessagesError {
    /// A text is no Fluent resource.
    #[error("the messages in {language} cannot be read: {problem}")]
    Syntax {
        /// The language.
        language: Language,
        /// What is wrong.
        problem: String,
    },
    /// A message is missing in a language or has other variables there.
    #[error("the message {key:?} differs in {language}: {problem}")]
    Uneven {
        /// The message.
        key: String,
        /// The language.
        language: Language,
        /// What is wrong.
        problem: String,
    },
}

/// A set of messages by key, in all languages of the product, in the syntax of Project Fluent.
pub struct Messages {
    bundles: Vec<(Language, FluentBundle<FluentResource>)>,
    sources: [&'static str; 4],
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").finish_non_exhaustive()
    }
}

impl Messages {
    /// Reads messages, one Fluent text for each language in the order of [`Language::ALL`]. The messages
    /// about fields are added. What cannot be read is left out; [`Messages::check`] finds it.
    pub fn new(sources: [&'static str; 4]) -> Self {
        let bundles = Language::ALL.into_iter().zip(sources.into_iter().zip(OWN)).map(|(language, texts)| {
            let identifier: Vec<LanguageIdentifier> = language.as_str().parse().into_iter().collect();
            let mut bundle = FluentBundle::new_concurrent(identifier);
            // Between texts of both directions only; elsewhere the marks would be in the way of a search.
            bundle.set_use_isolating(language.is_right_to_left());
            for text in [texts.1, texts.0] {
                let resource = match FluentResource::try_new(text.to_owned()) {
                    Ok(resource) | Err((resource, _)) => resource,
                };
                bundle.add_resource_overriding(resource);
            }
            (language, bundle)
        });
        Self { bundles: bundles.collect(), sources }
    }

    /// A message. `arguments` fill its variables; whole numbers choose plural forms. A message that there is
    /// not in this language is said in English, one that there is not at all by its key.
    pub fn say(&self, language: Language, key: &str, arguments: &[(&str, &str)]) -> String {
        let values: FluentArgs<'_> = arguments.iter().map(|(name, value)| (*name, value_of(value))).collect();
        let in_language = |wanted: Language| {
            let (_, bundle) = self.bundles.iter().find(|(language, _)| *language == wanted)?;
            let pattern = bundle.get_message(key)?.value()?;
            let mut problems = Vec::new();
            Some(bundle.format_pattern(pattern, Some(&values), &mut problems).into_owned())
        };
        in_language(language).or_else(|| in_language(Language::En)).unwrap_or_else(|| key.to_owned())
    }

    /// Whether there is a message of this key.
    pub fn has(&self, key: &str) -> bool {
        self.bundles.iter().any(|(_, bundle)| bundle.has_message(key))
    }

    /// Checks that every text can be read, and that every message is there in all languages with the same
    /// variables. For a test of the crate that the messages belong to.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), MessagesError> {
        for sources in [OWN, self.sources] {
            let mut read = Vec::new();
            for (language, source) in Language::ALL.into_iter().zip(sources) {
                if let Err((_, problems)) = FluentResource::try_new(source.to_owned()) {
                    let problem = problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
                    return Err(MessagesError::Syntax { language, problem });
                }
                read.push((language, variables(source)));
            }
            let all: BTreeSet<&str> = read.iter().flat_map(|(_, keys)| keys.keys().copied()).collect();
            for key in all {
                let wanted = read.first().and_then(|(_, keys)| keys.get(key));
                for (language, keys) in &read {
                    let problem = match (wanted, keys.get(key)) {
                        (Some(wanted), Some(found)) if wanted == found => continue,
                        (_, None) => "it is missing".to_owned(),
                        (None, _) => "it is missing in en".to_owned(),
                        (Some(wanted), Some(found)) => {
                            format!("it has the variables {found:?}, in en {wanted:?}")
                        }
                    };
                    return Err(MessagesError::Uneven { key: key.to_owned(), language: *language, problem });
                }
            }
        }
        Ok(())
    }
}

/// A whole number chooses a plural form; every other text stays as it is written.
fn value_of(text: &str) -> FluentValue<'_> {
    match text.parse::<i64>() {
        Ok(number) if number.to_string() == text => FluentValue::from(number),
        _ => FluentValue::from(text),
    }
}

/// The messages of a Fluent text with the variables that each uses.
fn variables(source: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut current = None;
    for line in source.lines() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic())
            && let Some((key, _)) = line.split_once('=')
        {
            current = Some(key.trim());
            found.entry(key.trim()).or_default();
        }
        let Some(key) = current else { continue };
        for part in line.split('$').skip(1) {
            let end =
                part.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_').unwrap_or(part.len());
            if let Some(name) = part.get(..end) {
                found.entry(key).or_default().insert(name);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_about_fields_are_there_in_all_languages() {
        assert_eq!(Messages::new([""; 4]).check(), Ok(()));
    }

    #[test]
    fn a_message_that_a_language_lacks_is_found_and_said_in_english() {
        let messages = Messages::new([
            "late = { $days } days late\n",
            "late = { $days }일 늦음\n",
            "",
            "late = متأخر\n",
        ]);
        let uneven = messages.check().unwrap_err();
        assert!(
            matches!(&uneven, MessagesError::Uneven { key, language: Language::Ja, .. } if key == "late"),
            "{uneven}"
        );
        assert_eq!(messages.say(Language::Ko, "late", &[("days", "3")]), "3일 늦음");
        assert_eq!(messages.say(Language::Ja, "late", &[("days", "3")]), "3 days late");
        assert_eq!(messages.say(Language::Ja, "no-such", &[]), "no-such");
    }

    /// Source: Unicode CLDR 48, plural rules: Arabic has six forms, Korean one.
    #[test]
    fn numbers_choose_the_plural_form_of_the_language() {
        let arabic = "days = { $n ->\n [zero] صفر\n [one] يوم واحد\n [two] يومان\n [few] { $n } أيام\n [many] { $n } يومًا\n *[other] { $n } يوم\n }\n";
        let messages = Messages::new([
            "days = { $n ->\n [one] one day\n *[other] { $n } days\n }\n",
            "days = { $n }일\n",
            "days = { $n }日\n",
            arabic,
        ]);
        assert_eq!(messages.check(), Ok(()));
        assert_eq!(messages.say(Language::En, "days", &[("n", "1")]), "one day");
        assert_eq!(messages.say(Language::Ar, "days", &[("n", "2")]), "يومان");
        assert!(messages.say(Language::Ar, "days", &[("n", "11")]).contains("يومًا"));
        assert_eq!(messages.say(Language::Ko, "days", &[("n", "1")]), "1일");
    }
}
