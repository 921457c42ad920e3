//! What goes out and what is refused before anything goes out. That a real server accepts it is shown in
//! `interop/s3`.

use super::*;

const CONFIG: &str = r#"
name = "archive"
endpoint = "https://s3.example.org"
region = "eu-central-1"
buckets = ["trade"]
credentials = "s3.secret"
"#;

fn stores(dir: &Path, config: &str) -> Arc<Stores> {
    Arc::new(Stores::new(&[toml::from_str(config).unwrap()], dir).unwrap())
}

fn ask(key: Option<&str>) -> Ask<'_> {
    Ask { method: Method::GET, key, query: &[], headers: &[] }
}

fn address(config: &str, key: Option<&str>) -> String {
    let bucket = stores(Path::new("/"), config).of_bucket("trade").unwrap();
    bucket.address(&ask(key)).unwrap().into()
}

#[test]
fn buckets_and_keys_go_where_the_style_says_and_every_byte_is_encoded() {
    assert_eq!(
        address(CONFIG, Some("a b/ü?#%.csv")),
        "https://s3.example.org/trade/a%20b/%C3%BC%3F%23%25.csv"
    );
    assert_eq!(address(CONFIG, Some("//x//")), "https://s3.example.org/trade///x//");
    assert_eq!(address(CONFIG, None), "https://s3.example.org/trade");
    let hosted = format!("{CONFIG}style = \"virtual-host\"\n").replace("example.org", "example.org:9000");
    assert_eq!(address(&hosted, Some("a")), "https://trade.s3.example.org:9000/a");
    assert_eq!(address(&hosted, None), "https://trade.s3.example.org:9000/");
}

#[test]
fn addresses_that_would_change_on_the_way_are_refused() {
    for bad in
        ["s3://trade", "trade/a", "s3://trade/a/../b", "s3://trade/./a", "s3://trade/a\nb", "https://x/y"]
    {
        assert!(ObjectAddress::read(bad).is_err(), "{bad}");
    }
    assert!(ObjectAddress::read(&format!("s3://trade/{}", "k".repeat(1025))).is_err());
    let whole = ObjectAddress::read("s3://trade/").unwrap();
    assert!(whole.is_folder() && whole.key.is_empty());
    assert!(!ObjectAddress::read("s3://trade/a").unwrap().is_folder());
}

#[test]
fn only_buckets_that_the_operator_named_are_read() {
    let stores = stores(Path::new("/"), CONFIG);
    let error = stores.of_bucket("other").unwrap_err();
    assert!(error.contains("\"other\"") && error.contains("[[dataspace.stores]]"), "{error}");
    assert!(stores.named("archive", "trade").is_ok());
    assert!(stores.named("archive", "other").is_err());
    assert!(stores.named("gone", "trade").unwrap_err().contains("any more"));
}

/// The endpoint's own address is allowed for it; others that are not public stay closed.
#[tokio::test]
async fn a_private_endpoint_opens_nothing_else() {
    let config = CONFIG.replace("https://s3.example.org", "http://127.0.0.1:9000");
    let stores = stores(Path::new("/"), &config);
    let open = |url: &str| stores.outbound.client_for(Target::Stranger(&url.parse().unwrap())).is_ok();
    assert!(open("http://127.0.0.1:9000/trade/a"));
    assert!(!open("http://127.0.0.1:9001/trade/a"));
    assert!(!open("http://169.254.169.254/latest/meta-data"));
}

async fn keys(dir: &Path, text: &str, mode: u32) -> Result<Keys, String> {
    let file = dir.join("s3.secret");
    drop(std::fs::remove_file(&file));
    std::fs::write(&file, text).unwrap();
    #[cfg(unix)]
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    stores(dir, CONFIG).of_bucket("trade").unwrap().keys().await
}

#[tokio::test]
async fn keys_are_read_from_a_file_that_only_its_owner_can_read_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    let good = "[default]\n# ours\naws_access_key_id = AKIA\naws_secret_access_key=s3cr=t/+\n";
    let read = keys(folder.path(), good, 0o600).await.unwrap_or_else(|e| panic!("{e}"));
    assert_eq!((read.access.as_str(), read.secret.as_str()), ("AKIA", "s3cr=t/+"));
    assert!(read.session.is_none());
    for (text, mode, expected) in [
        (good.to_owned(), 0o644, "chmod 600"),
        (good.replace("aws_secret_access_key", "secret"), 0o600, "does not have aws_secret_access_key"),
        (format!("{good}[other]\naws_access_key_id = B\n"), 0o600, "aws_access_key_id twice"),
        ("x".repeat(20_000), 0o600, "too large"),
    ] {
        let error = keys(folder.path(), &text, mode).await.err().unwrap();
        assert!(error.contains(expected) && error.contains("s3.secret"), "{error}");
        assert!(!error.contains("s3cr=t"), "{error}");
    }
}

#[tokio::test]
async fn a_session_token_is_signed_and_marked_as_secret() {
    let folder = tempfile::tempdir().unwrap();
    let text = "aws_access_key_id = AKIA\naws_secret_access_key = x\naws_session_token = token\n";
    let keys = keys(folder.path(), text, 0o600).await.unwrap_or_else(|e| panic!("{e}"));
    let bucket = stores(folder.path(), CONFIG).of_bucket("trade").unwrap();
    let ask = ask(Some("a"));
    let headers = bucket.headers(&ask, &bucket.address(&ask).unwrap(), &keys).unwrap();
    let authorization = headers["authorization"].to_str().unwrap();
    let names = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,";
    assert!(authorization.contains(names), "{authorization}");
    assert!(authorization.contains("/eu-central-1/s3/aws4_request"), "{authorization}");
    assert_eq!(headers["x-amz-security-token"], "token");
    assert!(headers["authorization"].is_sensitive() && headers["x-amz-security-token"].is_sensitive());
}
