//! The program `tones` from outside (DET-01 to DET-04): what it prints, its exit codes, and what it says of files that are none.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output};

/// Two people, a channel each.
const CALL: &str = r#"
length_ms = 4000

[[channel]]
name = "alice"
tones = [{ at_ms = 500, digits = "159#" }, { at_ms = 2000, frequencies = [1000], for_ms = 500 }]

[[channel]]
name = "bob"
tones = [{ at_ms = 800, digits = "42" }, { at_ms = 1500, cadence = "us busy", for_ms = 2000 }]
"#;

#[test]
fn help_names_every_argument() {
    let help = tones(&["detect", "--help"]).said(0);
    for argument in ["--json", "--expect", "--spectrogram", "--dtmf", "FILES"] {
        assert!(help.contains(argument), "no {argument} in\n{help}");
    }
    assert!(tones(&["--help"]).said(0).contains("Exit codes: 0 all is well, 1"));
}

#[test]
fn people_are_shown_a_table() {
    let desk = Desk::new("table");
    let call = desk.make("call", CALL);
    let table = tones(&["detect", &call]).said(0);
    let lines: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(table.contains("8000 Hz, 2 channels, 4.000 s"), "{table}");
    for line in [
        &["0.660", "0.740", "digit", "5"][..],
        &["2.000", "2.500", "tone", "1000", "-10.0"],
        &["channel", "2"],
        &["1.500", "3.000", "us", "busy", "2", "times"],
    ] {
        assert!(lines.iter().any(|own| own.starts_with(line)), "no {line:?} in\n{table}");
    }
}

#[test]
fn silence_is_told_from_a_noise_without_tones() {
    let desk = Desk::new("silence");
    let silent = desk.make("silent", "length_ms = 500\n[[channel]]\ntones = []");
    assert!(tones(&["detect", &silent]).said(0).ends_with("\n  silence\n"));
    let noisy = desk.make("noisy", "length_ms = 500\n[[channel]]\nnoise_dbm0 = -30\ntones = []");
    assert!(tones(&["detect", &noisy]).said(0).ends_with("\n  no keys, no tones\n"));
}

#[test]
fn programs_are_told_in_json() {
    let desk = Desk::new("json");
    let call = desk.make("call", CALL);
    let told: Value = serde_json::from_str(&tones(&["detect", &call, "--json"]).said(0)).expect("JSON");
    let [alice, bob] = told.as_array().expect("an array of channels").as_slice() else { panic!("{told}") };
    for (number, channel) in [alice, bob].into_iter().enumerate() {
        assert_eq!(channel["format"], "tones/1");
        assert_eq!(channel["file"], call.as_str());
        assert_eq!(channel["channel"], number);
        assert_eq!((&channel["sample_rate"], &channel["duration_ms"]), (&8_000.into(), &4_000.0.into()));
        assert_eq!(channel["rejected"], Value::Array(Vec::new()));
    }
    let key = &alice["events"][0];
    assert_eq!((&key["type"], &key["digit"]), (&"dtmf".into(), &"1".into()));
    let near = |value: &Value, wanted: f64, most: f64| {
        let is = value.as_f64().unwrap_or_else(|| panic!("no number in {key}"));
        assert!((is - wanted).abs() <= most, "{is} and not {wanted}");
    };
    near(&key["start_ms"], 500.0, 0.5);
    near(&key["end_ms"], 580.0, 0.5);
    near(&key["freqs"][1], 1_209.0, 1.0);
    near(&key["levels_dbm0"][0], -10.0, 0.2);
    near(&key["twist_db"], 0.0, 0.2);
    assert!(key["snr_db"].as_f64().is_some_and(|snr| snr > 20.0), "{key}");
    let busy = bob["events"].as_array().expect("events").iter().find(|event| event["type"] == "cadence");
    let busy = busy.expect("a rhythm");
    assert_eq!((&busy["name"], &busy["plan"], &busy["periods"]), (&"busy".into(), &"us".into(), &2.into()));
}

#[test]
fn one_channel_of_one_file_is_one_object_and_two_files_are_an_array() {
    let desk = Desk::new("shapes");
    let one = desk.make("one", "[[channel]]\ntones = [{ at_ms = 100, digits = \"7\" }]");
    let read = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    assert_eq!(read(&tones(&["detect", "--json", &one]).said(0))["events"][0]["digit"], "7");
    assert_eq!(
        read(&tones(&["detect", "--json", "--dtmf", &one, &one]).said(0))[1]["events"][0]["digit"],
        "7"
    );
}

#[test]
fn what_counts_as_no_key_is_told_with_its_reason() {
    let desk = Desk::new("reasons");
    for (tone, reason) in [
        (r#"digits = "5", for_ms = 18"#, "too_short"),
        (r#"digits = "5", twist_db = -18, level_dbm0 = -6"#, "twist"),
        (r#"digits = "5", off_percent = 3.5"#, "off_frequency"),
        (r#"digits = "5", level_dbm0 = -53"#, "too_weak"),
    ] {
        let file = desk.make(reason, &format!("[[channel]]\ntones = [{{ at_ms = 200, {tone} }}]"));
        let told: Value = serde_json::from_str(&tones(&["detect", "--json", &file]).said(0)).expect("JSON");
        assert_eq!(told["rejected"][0]["reason"], reason, "{told}");
        assert_eq!(told["rejected"][0]["digit"], "5", "{told}");
        let keys = told["events"].as_array().expect("events").iter().filter(|event| event["type"] == "dtmf");
        assert_eq!(keys.count(), 0, "{told}");
    }
    let echo = "[[channel]]\ntones = [{ at_ms = 200, digits = \"5\" }, { at_ms = 330, digits = \"5\", level_dbm0 = -18 }]";
    let file = desk.make("echo", echo);
    let told: Value = serde_json::from_str(&tones(&["detect", "--json", &file]).said(0)).expect("JSON");
    assert_eq!(
        (&told["events"][0]["digit"], &told["rejected"][0]["reason"]),
        (&"5".into(), &"echo".into()),
        "{told}"
    );
    let three = "[[channel]]\ntones = [{ at_ms = 200, digits = \"5\" }, { at_ms = 200, frequencies = [1000], for_ms = 80 }]";
    let file = desk.make("speech", three);
    let told: Value = serde_json::from_str(&tones(&["detect", "--json", &file]).said(0)).expect("JSON");
    assert_eq!(told["rejected"][0]["reason"], "speech", "{told}");
}

#[test]
fn a_recording_as_expected_is_green() {
    let desk = Desk::new("green");
    let schedule = desk.write("call.toml", CALL.as_bytes());
    let call = desk.make("call", CALL);
    let verdict = tones(&["detect", &call, "--expect", &schedule]).said(0);
    assert_eq!(verdict, format!("{call}: as expected: 2 channels, 8 tones\n"));
}

#[test]
fn a_recording_that_is_otherwise_is_red_and_says_why() {
    let desk = Desk::new("red");
    let schedule = desk.write("call.toml", CALL.as_bytes());
    let wrong = desk.make("wrong", &CALL.replace("\"159#\"", "\"15#\"").replace("[1000]", "[1040]"));
    let output = tones(&["detect", &wrong, "--expect", &schedule]);
    let verdict = format!(
        "{wrong}: not as expected\n  \
         channel 1 (alice): digit 9 expected at 0.820 s, nothing heard\n  \
         channel 1 (alice): digit # expected at 0.980 s, heard at 0.820 s: 160 ms early\n  \
         channel 1 (alice): a tone of 1000 Hz expected at 2.000 s, its frequency is wrong: 1040 Hz heard, 4.0 % too high\n"
    );
    assert_eq!(output.said(1), verdict);

    let output = tones(&["detect", &wrong, "--expect", &schedule, "--json"]);
    assert!(output.error.contains("tones: ") && output.error.contains("digit # expected at 0.980 s"));
    assert!(serde_json::from_str::<Value>(&output.said(1)).is_ok());
}

#[test]
fn the_spectrogram_is_a_picture() {
    let desk = Desk::new("picture");
    let schedule = desk.write("call.toml", CALL.as_bytes());
    let call = desk.make("call", CALL);
    let picture = desk.path("call.png");
    tones(&["detect", &call, "--spectrogram", &picture]).said(0);
    let plain = pixels(&picture);
    tones(&["detect", &call, "--spectrogram", &picture, "--expect", &schedule]).said(0);
    let framed = pixels(&picture);
    assert_eq!(plain.len(), framed.len());
    let green =
        |dots: &[u8]| dots.chunks(3).filter(|dot| dot[1] > 200 && dot[0] < 100 && dot[2] < 150).count();
    assert_eq!(green(&plain), 0);
    assert!(green(&framed) > 500, "what is expected is framed in green");

    let several = tones(&["detect", &call, &call, "--spectrogram", &picture]);
    assert!(several.error.contains("--spectrogram draws one file"), "{}", several.error);
    several.said(2);
}

#[test]
fn a_file_that_is_no_recording_is_named_with_what_is_wrong_and_where() {
    let desk = Desk::new("bad");
    let call = desk.make("call", CALL);
    let whole = std::fs::read(&call).expect("the recording");
    for (name, bytes, why) in [
        ("cut.wav", &whole[..5_000], "byte 5000: the file is cut off: 123044 bytes are missing"),
        ("text.wav", b"Hello, this is a text.", "byte 0: this is no WAV file"),
        ("empty.wav", b"", "byte 0: this is no WAV file"),
    ] {
        let file = desk.write(name, bytes);
        let output = tones(&["detect", &file, &call]);
        assert!(output.error.contains(&format!("tones: {file}: {why}")), "{}", output.error);
        assert!(output.said(2).contains("digit 5"), "the other file is listened to nevertheless");
    }
    let gone = tones(&["detect", &desk.path("gone.wav")]);
    assert!(gone.error.contains("gone.wav: No such file"), "{}", gone.error);
    gone.said(2);
}

#[test]
fn a_schedule_that_is_none_is_named_with_its_line() {
    let desk = Desk::new("schedule");
    let schedule = desk.write("wrong.toml", b"[[channel]]\ntones = [\n  { at_ms = 0, digits = \"E\" },\n]\n");
    let made = tones(&["make", &schedule, &desk.path("out.wav")]);
    assert_eq!(
        made.error,
        format!("tones: {schedule}: line 3, column 25: `E` is no digit; digits are 0 to 9, *, #, A to D\n")
    );
    made.said(2);
}

struct Ran {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Ran {
    /// What was printed, when the program ended as it should.
    fn said(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.error);
        self.out
    }
}

fn tones(arguments: &[&str]) -> Ran {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_tones")).args(arguments).output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran { code: status.code(), out: text(stdout), error: text(stderr) }
}

fn pixels(path: &str) -> Vec<u8> {
    let file = std::io::BufReader::new(std::fs::File::open(path).expect("the picture"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    reader.next_frame(&mut pixels).expect("a picture");
    pixels
}

/// A folder for one test.
struct Desk(PathBuf);

impl Desk {
    fn new(name: &str) -> Desk {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("tones").join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        Desk(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.path(name), bytes).expect("our folder can be written");
        self.path(name)
    }

    /// The recording of a schedule, made by the program.
    fn make(&self, name: &str, schedule: &str) -> String {
        let schedule = self.write(&format!("{name}.made.toml"), schedule.as_bytes());
        let out = self.path(&format!("{name}.wav"));
        tones(&["make", &schedule, &out]).said(0);
        out
    }
}
