//! The `hiwar` command.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 the
//! command failed or a check did not hold, 2 the command line is wrong, 3 a dossier is neither
//! contradicted nor proved in all.

mod bench;
mod claims;
mod commands;
mod data;
mod demo;
mod measure;
mod procedure;
mod radar;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// See supply-chain trouble early, talk about it with proof, act on it together.
#[derive(Debug, Parser)]
#[command(name = "hiwar", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Three real nodes replay a real dispute, with a crash and a cut, and prove what was said
    Demo(demo::Demo),
    /// Make a node: keys, configuration, store; prints its invitation
    Init(commands::init::Init),
    /// Run a node until it is told to stop
    Serve(commands::serve::Serve),
    /// Print this node's invitation, to give to a new peer
    Invitation(commands::peer::ShowInvitation),
    /// Peers of a running node
    #[command(subcommand)]
    Peer(commands::peer::PeerCommand),
    /// Dialogues on a running node
    #[command(subcommand)]
    Dialogue(commands::dialogue::DialogueCommand),
    /// Alerts, information requests, answers, offers of help, requests for an emergency meeting
    #[command(subcommand)]
    Notice(procedure::notice::NoticeCommand),
    /// The agreed text that governs a dialogue: parties, bodies, clocks, markings, languages
    #[command(subcommand)]
    Arrangement(procedure::arrangement::ArrangementCommand),
    /// Meetings: convened, answered, moved, held; the next agenda; calendar files
    #[command(subcommand)]
    Meeting(procedure::meeting::MeetingCommand),
    /// Minutes: drafted, commented, agreed by each party's signature or with a reservation
    #[command(subcommand)]
    Minutes(procedure::meeting::MinutesCommand),
    /// Commitments: who undertakes what by when, with evidence, confirmed by both sides
    #[command(subcommand)]
    Commitment(procedure::commitment::CommitmentCommand),
    /// Confidential reports of firms, and tables made from them that reveal no firm
    #[command(subcommand)]
    Report(procedure::report::ReportCommand),
    /// Who must do what by when, after the clocks of arrangements
    #[command(subcommand)]
    Duty(procedure::duty::DutyCommand),
    /// Acts that a second desk must release before they leave
    #[command(subcommand)]
    Draft(procedure::draft::DraftCommand),
    /// Offer data under terms, and get data of others under theirs
    #[command(subcommand)]
    Data(data::DataCommand),
    /// Credentials that say who a participant is: held, asked for, issued, taken back
    #[command(subcommand)]
    Claims(claims::ClaimsCommand),
    /// What governments do to items: licences, bans, lists, with every source; works without a node
    #[command(subcommand)]
    Measure(measure::MeasureCommand),
    /// Early warning over trade tables and firm networks; works without a node
    #[command(subcommand)]
    Radar(radar::RadarCommand),
    /// Files that prove what was said
    #[command(subcommand)]
    Dossier(commands::dossier::DossierCommand),
    /// Verify a dossier offline: a verdict for every claim
    Verify(commands::dossier::Verify),
    /// A node's log
    #[command(subcommand)]
    Log(commands::log::LogCommand),
    /// Backups
    #[command(subcommand)]
    Backup(commands::backup::BackupCommand),
    /// Keys
    #[command(subcommand)]
    Key(commands::key::KeyCommand),
    /// What peers know of a running node beside its keys
    #[command(subcommand)]
    Card(commands::card::CardCommand),
    /// Tokens for desks
    #[command(subcommand)]
    Desk(commands::key::DeskCommand),
    /// State of a running node
    Status(commands::status::Status),
    /// Alarms of a running node
    #[command(subcommand)]
    Alarm(commands::alarm::AlarmCommand),
    /// The same as `alarm list`
    Alarms(commands::alarm::Alarms),
    /// Measure
    #[command(subcommand)]
    Bench(bench::BenchCommand),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Demo(c) => c.run(),
        Command::Init(c) => c.run(),
        Command::Serve(c) => c.run(),
        Command::Invitation(c) => c.run(),
        Command::Peer(c) => c.run(),
        Command::Dialogue(c) => c.run(),
        Command::Notice(c) => c.run(),
        Command::Arrangement(c) => c.run(),
        Command::Meeting(c) => c.run(),
        Command::Minutes(c) => c.run(),
        Command::Commitment(c) => c.run(),
        Command::Report(c) => c.run(),
        Command::Duty(c) => c.run(),
        Command::Draft(c) => c.run(),
        Command::Data(c) => c.run(),
        Command::Claims(c) => c.run(),
        Command::Measure(c) => c.run(),
        Command::Radar(c) => c.run(),
        Command::Dossier(c) => c.run(),
        Command::Verify(c) => c.run(),
        Command::Log(c) => c.run(),
        Command::Backup(c) => c.run(),
        Command::Key(c) => c.run(),
        Command::Card(c) => c.run(),
        Command::Desk(c) => c.run(),
        Command::Status(c) => c.run(),
        Command::Alarm(c) => c.run(),
        Command::Alarms(c) => c.run(),
        Command::Bench(c) => c.run(),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
