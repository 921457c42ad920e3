//! How a dependency book is shown.

use hiwar_radar::items::goods::SIGMA_SOURCE;
use hiwar_radar::items::{economy_name, name_of};
use hiwar_radar::report::html::{Page, escape};
use hiwar_radar::report::map::{ITEMS_MAX, MapFlow, dependency_map};
use hiwar_radar::report::plot::short;
use hiwar_radar::report::records::Records;
use hiwar_radar::series::Unit;
use hiwar_radar::structure::book::{Book, Change, Churn, Entry, Substitution, World};
use hiwar_radar::structure::risk::Risk;
use hiwar_radar::structure::world::Way;
use hiwar_radar::structure::{Basis, Cdi, Needs, Substitutability, Verdict};

use super::Made;

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Yes => "yes",
        Verdict::No => "no",
        Verdict::Unknown(Needs::WorldTrade) => "needs world trade",
        Verdict::Unknown(Needs::Exports) => "needs exports",
        Verdict::Unknown(Needs::BlocPartners) => "needs the bloc's partners",
        Verdict::Unknown(Needs::BlocMembers) => "needs the bloc's other members",
        Verdict::Unknown(Needs::MoreYears) => "needs more years",
    }
}

fn class(class: Substitutability) -> &'static str {
    match class {
        Substitutability::Hard => "hard",
        Substitutability::Medium => "medium",
        Substitutability::Easy => "easy",
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".into(), |v| format!("{v:.3}"))
}

/// HHI by weight; where some weights are not known it is of the others only.
fn by_weight(e: &Entry) -> String {
    let part = if e.weight_is_whole { "" } else { ", some not known" };
    format!("{} by weight{part}", number(e.by_weight.as_ref().map(|w| w.hhi)))
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The code of an economy with its name.
fn named(economy: &str) -> String {
    let name = economy_name(economy).filter(|name| *name != economy);
    name.map_or_else(|| economy.to_owned(), |name| format!("{economy} {name}"))
}

fn rules(book: &Book) -> String {
    format!("{}/{} of {}", book.rules.id, book.rules.version, book.rules.date)
}

/// Where world trade is from, for one line.
fn world_source(book: &Book) -> Option<String> {
    let world = book.world.as_ref()?;
    let years = world.years.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
    let (way, basis) = (
        match world.way {
            Way::Files => "from files",
            Way::Store => "from the store",
        },
        match world.basis {
            Basis::Value => "value",
            Basis::Weight => "weight, for the table has no values",
        },
    );
    Some(format!("{}, {way}, {years}, {} importers, shares of {basis}", world.source, world.importers))
}

pub(super) fn table(made: &Made) -> String {
    let book = &made.book;
    let mut text = format!(
        "{} {} as of {}, rules {}, source {}: {} items\n",
        book.reporter,
        book.year,
        book.as_of,
        rules(book),
        book.source,
        book.entries.len()
    );
    for e in &book.entries {
        entry_lines(&mut text, e, book.unit);
    }
    if let Some(churn) = &made.churn {
        text.push_str(&format!(
            "\nSince {}: entered [{}], left [{}], {} stayed\n",
            churn.old.0,
            list(&churn.entered),
            list(&churn.left),
            churn.stayed.len()
        ));
    }
    text.push('\n');
    for line in sources(made) {
        text.push_str(&format!("{line}\n"));
    }
    text
}

fn entry_lines(text: &mut String, e: &Entry, unit: Unit) {
    if let Some(name) = name_of(&e.item) {
        text.push_str(&format!("\n{name}"));
    }
    text.push_str(&format!(
        "\n{:<12} HHI {:.3} by value, {} · {} {} of {} {unit} · imports/exports {}\n",
        e.item,
        e.by_value.hhi,
        by_weight(e),
        e.by_value.top_partner,
        percent(e.by_value.top_share),
        short(e.by_value.total),
        number(e.ratio)
    ));
    let mut line = |line: String| text.push_str(&format!("{:<12} {line}\n", ""));
    if e.months < 12 {
        line(format!("only {} months of the year are known", e.months));
    }
    let c = e.geodep;
    line(format!(
        "C1 {} · C2 {} · C3 {} · C4 {}",
        verdict(c.c1),
        verdict(c.c2),
        verdict(c.c3),
        verdict(c.c4)
    ));
    if let Some(world) = &e.world {
        line(world_line(world));
    }
    if let Some(s) = &e.substitution {
        line(sigma_line(s, &e.by_value.top_partner));
    }
    if let Some(cdi) = &e.cdi {
        line(cdi_line(cdi));
    }
    if let Some(risk) = &e.supply_risk {
        line(risk_line(risk));
    }
}

fn world_line(world: &World) -> String {
    let c = world.centrality;
    format!(
        "world {}: HHI {:.3} over {} exporters · most central {}: mean share {}, reaches {} of {} importers, largest \
         supplier of {} · {}",
        world.item,
        world.hhi,
        world.exporters,
        world.most_central,
        percent(c.mean_share),
        percent(c.reach),
        world.importers,
        percent(c.dominance),
        if c.single_point {
            "a single point of failure (our own cut)"
        } else {
            "no single point of failure (our own cut)"
        }
    )
}

fn sigma_line(s: &Substitution, top: &str) -> String {
    let of = &s.elasticity;
    let factor = s.price_factor.map_or_else(
        || format!("{top} is the only supplier"),
        |factor| format!("without {top} the price index × {factor:.2}"),
    );
    format!(
        "sigma {:.2} ({}, HS 1992 {}, by {}): {} to replace · {factor}",
        of.sigma,
        of.importer,
        of.hs1992_3,
        s.revision,
        class(s.class)
    )
}

fn cdi_line(cdi: &Cdi) -> String {
    format!(
        "CDI1 {} (HHI of imports from outside {}) · CDI2 {} (their share {}) · CDI3 {} (over exports {}) · dependent {}",
        verdict(cdi.cdi1),
        number(cdi.extra_hhi),
        verdict(cdi.cdi2),
        cdi.extra_share.map_or("–".into(), percent),
        verdict(cdi.cdi3),
        number(cdi.ratio),
        verdict(cdi.dependent)
    )
}

fn risk_line(risk: &Risk) -> String {
    let critical = match risk.critical {
        Some(true) => "critical",
        Some(false) => "not critical",
        None => "critical or not needs economic importance",
    };
    format!(
        "SR {:.3} = [{:.3} · {:.2}/2 + {:.3} · (1 - {:.2}/2)] · (1 - {:.2}) · {:.2} · {critical}",
        risk.supply_risk,
        risk.hhi_global,
        risk.import_reliance,
        risk.hhi_sourcing,
        risk.import_reliance,
        risk.recycling,
        risk.substitution
    )
}

fn list(changes: &[Change]) -> String {
    changes.iter().map(|c| c.item.to_string()).collect::<Vec<_>>().join(", ")
}

/// Where everything is from, one line each.
fn sources(made: &Made) -> Vec<String> {
    let book = &made.book;
    let mut lines: Vec<String> = made.notes.iter().map(|note| format!("Note: {note}")).collect();
    lines.extend(world_source(book).map(|from| format!("World trade: {from}")));
    if let Some(bloc) = &book.bloc {
        let whole = if bloc.whole { ", taken as one importer" } else { "" };
        lines.push(format!(
            "Bloc: {}, {} members at the end of {}{whole}; list {}/{} of {}: {}",
            bloc.code,
            bloc.members.len(),
            book.year,
            bloc.list.id,
            bloc.list.version,
            bloc.list.date,
            bloc.source
        ));
    }
    if book.entries.iter().any(|e| e.substitution.is_some()) {
        lines.push(format!("Sigma: {SIGMA_SOURCE}"));
    }
    lines.extend(book.risk_inputs.as_ref().map(|inputs| format!("Supply risk: {inputs}")));
    if let Some(items) = &made.items {
        lines.push(format!("Items: list {} version {}", items.list, items.version));
        for (item, found) in &items.found {
            let under: Vec<String> = found
                .iter()
                .map(|f| {
                    format!("{} ({}; {} of it; {}–{})", f.code, f.how, percent(f.share), f.first, f.last)
                })
                .collect();
            lines.push(format!("  {item}: {}", under.join(", ")));
        }
        for item in &items.missing {
            lines.push(format!("  {item}: found under no code of the source"));
        }
    }
    let used = |name: &str| match name {
        _ if name.starts_with("geodep") => true,
        _ if name.starts_with("cdi") => book.bloc.is_some(),
        _ if name.starts_with("spof") => book.world.is_some(),
        "world-reporters" => book.world.as_ref().is_none_or(|w| w.way == Way::Store),
        _ if name.starts_with("sigma") => book.entries.iter().any(|e| e.substitution.is_some()),
        _ => book.risk_inputs.is_some(),
    };
    for (name, threshold) in book.thresholds.iter().filter(|(name, _)| used(name)) {
        let own = if threshold.own { "our own cut; " } else { "" };
        lines.push(format!(
            "{name} {}: {own}{} ({})",
            threshold.value, threshold.source, threshold.source_date
        ));
    }
    lines
}

pub(super) fn records(book: &Book) -> Records {
    let all = || book.entries.iter();
    let cdi = |of: fn(&Cdi) -> Verdict| all().map(move |e| e.cdi.as_ref().map(|cdi| verdict(of(cdi))));
    let central = |of: fn(&World) -> f64| all().map(move |e| e.world.as_ref().map(of));
    let sigma =
        |of: fn(&Substitution) -> Option<f64>| all().map(move |e| e.substitution.as_ref().and_then(of));
    let risk = |of: fn(&Risk) -> f64| all().map(move |e| e.supply_risk.as_ref().map(of));
    let records = Records::default()
        .note("rules", rules(book))
        .note("as_of", book.as_of.to_string())
        .note("source", &*book.source)
        .note("unit", book.unit.to_string())
        .note("sigma_source", SIGMA_SOURCE)
        .note("world_source", world_source(book).unwrap_or_default())
        .note("risk_source", book.risk_inputs.clone().unwrap_or_default())
        .text("reporter", all().map(|_| &book.reporter))
        .count("year", all().map(|_| u64::from(book.year)))
        .text("as_of", all().map(|_| book.as_of))
        .text("rules", all().map(|_| format!("{}/{}", book.rules.id, book.rules.version)))
        .text("source", all().map(|_| &book.source))
        .text("unit", all().map(|_| book.unit))
        .text("item", all().map(|e| &e.item))
        .text_if_any("item_name", all().map(|e| name_of(&e.item).map(|n| n.text)))
        .count("months", all().map(|e| u64::from(e.months)))
        .number("hhi_value", all().map(|e| e.by_value.hhi))
        .number("hhi_weight", all().map(|e| e.by_weight.as_ref().map(|w| w.hhi)))
        .flag("weight_is_whole", all().map(|e| e.weight_is_whole))
        .text("top_partner", all().map(|e| &e.by_value.top_partner))
        .number("top_share", all().map(|e| e.by_value.top_share))
        .count("partners", all().map(|e| u64::from(e.partners)))
        .number("imports", all().map(|e| e.by_value.total))
        .number("exports", all().map(|e| e.exports))
        .number("ratio", all().map(|e| e.ratio))
        .text("c1", all().map(|e| verdict(e.geodep.c1)))
        .text("c2", all().map(|e| verdict(e.geodep.c2)))
        .text("c3", all().map(|e| verdict(e.geodep.c3)))
        .text("c4", all().map(|e| verdict(e.geodep.c4)));
    records
        .text_if_any("world_item", all().map(|e| e.world.as_ref().map(|w| &w.item)))
        .number("world_hhi", central(|w| w.hhi))
        .text_if_any("most_central", all().map(|e| e.world.as_ref().map(|w| &w.most_central)))
        .number("central_mean_share", central(|w| w.centrality.mean_share))
        .number("central_reach", central(|w| w.centrality.reach))
        .number("central_dominance", central(|w| w.centrality.dominance))
        .flag("single_point", all().map(|e| e.world.as_ref().map(|w| w.centrality.single_point)))
        .text_if_any("world_source", all().map(|_| world_source(book)))
        .number("sigma", sigma(|s| Some(s.elasticity.sigma)))
        .text_if_any("sigma_importer", all().map(|e| e.substitution.as_ref().map(|s| &s.elasticity.importer)))
        .text_if_any("sigma_hs1992", all().map(|e| e.substitution.as_ref().map(|s| &s.elasticity.hs1992_3)))
        .text_if_any("replaceable", all().map(|e| e.substitution.as_ref().map(|s| class(s.class))))
        .number("price_factor_without_top", sigma(|s| s.price_factor))
        .text_if_any("cdi1", cdi(|c| c.cdi1))
        .text_if_any("cdi2", cdi(|c| c.cdi2))
        .text_if_any("cdi3", cdi(|c| c.cdi3))
        .text_if_any("cdi_dependent", cdi(|c| c.dependent))
        .number("extra_hhi", all().map(|e| e.cdi.and_then(|c| c.extra_hhi)))
        .number("extra_share", all().map(|e| e.cdi.and_then(|c| c.extra_share)))
        .number("extra_over_exports", all().map(|e| e.cdi.and_then(|c| c.ratio)))
        .number("supply_risk", risk(|r| r.supply_risk))
        .number("hhi_wgi_global", risk(|r| r.hhi_global))
        .number("hhi_wgi_sourcing", risk(|r| r.hhi_sourcing))
        .number("import_reliance", risk(|r| r.import_reliance))
        .flag("critical", all().map(|e| e.supply_risk.as_ref().and_then(|r| r.critical)))
        .text_if_any("risk_source", all().map(|_| book.risk_inputs.as_ref()))
}

/// Rows of the page's table; more are in the other formats.
const ROWS: usize = 500;

pub(super) fn page(made: &Made) -> String {
    let book = &made.book;
    let mut page = Page::new(&format!("Dependency book of {}, {}", named(&book.reporter), book.year));
    page.paragraph(&format!(
        "{} items of {}, as of {}, rules {}. HHI: sum of squared shares of the exporters, from 1/n to 1.",
        book.entries.len(),
        book.source,
        book.as_of,
        rules(book)
    ));
    let flows: Vec<MapFlow> = book
        .entries
        .iter()
        .take(ITEMS_MAX)
        .flat_map(|e| {
            let flow = |(source, share): &(std::sync::Arc<str>, f64)| MapFlow {
                item: format!("{} · HHI {:.2}", e.item, e.by_value.hhi),
                source: source.to_string(),
                share: *share,
            };
            e.suppliers.iter().map(flow)
        })
        .collect();
    page.raw(&dependency_map("Where the most concentrated imports come from, by value", &flows));
    page.heading("Items");
    for e in book.entries.iter().take(ROWS) {
        item(&mut page, e, book.unit);
    }
    if book.entries.len() > ROWS {
        page.paragraph(&format!(
            "{ROWS} of {} items are shown; the other formats have all.",
            book.entries.len()
        ));
    }
    if let Some(churn) = &made.churn {
        churned(&mut page, churn);
    }
    page.heading("Rules and sources");
    let lines: Vec<String> = sources(made).iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    page.raw(&format!("<ul>{}</ul>", lines.concat()));
    page.finish()
}

/// One item: its name and a table of two columns, which a narrow screen holds.
fn item(page: &mut Page, e: &Entry, unit: Unit) {
    let mut rows: Vec<(&str, String)> = vec![
        ("HHI", format!("{:.3} by value, {}", e.by_value.hhi, by_weight(e))),
        (
            "largest source",
            format!(
                "{} {} of {} {unit}",
                named(&e.by_value.top_partner),
                percent(e.by_value.top_share),
                short(e.by_value.total)
            ),
        ),
        ("imports/exports", number(e.ratio)),
        (
            "GeoDep",
            format!(
                "C1 {} · C2 {} · C3 {} · C4 {}",
                verdict(e.geodep.c1),
                verdict(e.geodep.c2),
                verdict(e.geodep.c3),
                verdict(e.geodep.c4)
            ),
        ),
    ];
    if e.months < 12 {
        rows.push(("months", format!("only {} of the year are known", e.months)));
    }
    rows.extend(e.world.as_ref().map(|w| ("world", world_line(w))));
    rows.extend(e.substitution.as_ref().map(|s| ("replacing", sigma_line(s, &e.by_value.top_partner))));
    rows.extend(e.cdi.as_ref().map(|c| ("CDI", cdi_line(c))));
    rows.extend(e.supply_risk.as_ref().map(|r| ("supply risk", risk_line(r))));
    let rows: Vec<String> = rows
        .iter()
        .map(|(name, value)| format!("<tr><th>{}</th><td>{}</td></tr>", escape(name), escape(value)))
        .collect();
    page.raw(&format!("<h3>{}</h3>", escape(&e.item)));
    if let Some(name) = name_of(&e.item) {
        page.paragraph(&name.to_string());
    }
    page.raw(&format!("<table>{}</table>", rows.concat()));
}

fn churned(page: &mut Page, churn: &Churn) {
    page.heading(&format!("Since {}", churn.old.0));
    for (what, changes) in [("Entered", &churn.entered), ("Left", &churn.left), ("Stayed", &churn.stayed)] {
        let none = if changes.is_empty() { "none".to_owned() } else { list(changes) };
        page.paragraph(&format!("{what}: {none}"));
    }
    if churn.old_rules != churn.new_rules {
        page.paragraph("The rules differ: a change may be one of rules.");
    }
}
