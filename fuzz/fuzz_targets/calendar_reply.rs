#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hiwar_fuzz::run("calendar_reply", data));
