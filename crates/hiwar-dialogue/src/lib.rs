//! Entries, dialogues, delivery and witnessing decisions as a sans-IO engine
