use super::own::AUTHORITY;
use super::*;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::UnixTime;

const DAY: i64 = 86_400_000;
const NOW: Time = Time(1_795_000_000_000);

fn own(dir: &Path, must: &[&str], may: &[&str]) -> Own {
    let owned = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
    Own { dir: dir.join("tls"), must: owned(must), may: owned(may) }
}

/// Whether whoever trusts the authority of `dir` takes this certificate for `name`.
fn is_taken(dir: &Path, identity: &Identity, name: &str, at: Time) -> Result<(), rustls::Error> {
    let authority = CertificateDer::from_pem_slice(&read(&dir.join("tls").join(AUTHORITY)).unwrap()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let chain = &identity.key.cert;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let at = UnixTime::since_unix_epoch(Duration::from_millis(u64::try_from(at.0).unwrap()));
    verifier.verify_server_cert(&chain[0], &chain[1..], &name, &[], at).map(drop)
}

#[test]
fn the_own_certificate_is_trusted_by_its_authority_for_its_names_and_its_time() {
    let home = tempfile::tempdir().unwrap();
    let must = ["localhost", "127.0.0.1", "tl.example", "203.0.113.9"];
    let own = own(home.path(), &must, &["10.0.0.7", "fd00::2"]);
    let made = own.open(NOW).unwrap();
    for name in must.iter().chain(&["10.0.0.7", "fd00::2"]) {
        assert_eq!(is_taken(home.path(), &made, name, NOW), Ok(()), "{name}");
        assert!(Tls::new(made.clone(), None).is_for(name), "{name}");
    }
    for name in ["evil.example", "10.0.0.8", "bank.example"] {
        assert!(is_taken(home.path(), &made, name, NOW).is_err(), "{name}");
        assert!(!Tls::new(made.clone(), None).is_for(name), "{name}");
    }
    assert!(is_taken(home.path(), &made, "localhost", Time(NOW.0 + 398 * DAY)).is_err());
    for name in ["own.json", AUTHORITY] {
        let mode = home.path().join("tls").join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(home.path().join("tls").metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn it_stays_the_same_until_something_asks_for_another() {
    let home = tempfile::tempdir().unwrap();
    let ca = |_: &Identity| read(&home.path().join("tls").join(AUTHORITY)).unwrap();
    let first = own(home.path(), &["localhost"], &["10.0.0.7"]).open(NOW).unwrap();
    let authority = ca(&first);
    let again = own(home.path(), &["localhost"], &["10.0.0.7"]).open(Time(NOW.0 + 300 * DAY)).unwrap();
    assert_eq!(again.fingerprint, first.fingerprint);
    // Another network: the same authority vouches for both addresses.
    let moved = own(home.path(), &["localhost"], &["192.168.1.4", "198.51.100.1"]).open(NOW).unwrap();
    assert_ne!(moved.fingerprint, first.fingerprint);
    assert_eq!(ca(&moved), authority);
    for (name, taken) in [("10.0.0.7", true), ("192.168.1.4", true), ("198.51.100.1", false)] {
        assert_eq!(is_taken(home.path(), &moved, name, NOW).is_ok(), taken, "{name}");
    }
    let back = own(home.path(), &["localhost"], &["10.0.0.7"]).open(NOW).unwrap();
    assert_eq!(back.fingerprint, moved.fingerprint, "and is not made anew for going back");
}

#[test]
fn it_is_made_anew_before_it_ends_and_while_the_daemon_runs() {
    let home = tempfile::tempdir().unwrap();
    let source = Source::Own(own(home.path(), &["localhost"], &[]));
    let (mut watch, first) = Watch::start(source, NOW).unwrap();
    assert!(watch.look(Time(NOW.0 + 330 * DAY)).unwrap().is_none());
    let late = Time(NOW.0 + 340 * DAY);
    let new = watch.look(late).unwrap().unwrap();
    assert_ne!(new.fingerprint, first.fingerprint);
    assert_eq!(is_taken(home.path(), &new, "localhost", Time(late.0 + 390 * DAY)), Ok(()));
    let tls = Tls::new(first, None);
    tls.replace(new.clone());
    assert_eq!(tls.fingerprint(), new.fingerprint);
}

#[test]
fn what_a_clock_that_was_ahead_has_made_is_made_anew() {
    let home = tempfile::tempdir().unwrap();
    let own = own(home.path(), &["localhost"], &[]);
    let ahead = own.open(Time(NOW.0 + 9 * DAY)).unwrap();
    assert!(is_taken(home.path(), &ahead, "localhost", NOW).is_err());
    let right = own.open(NOW).unwrap();
    assert_eq!(is_taken(home.path(), &right, "localhost", NOW), Ok(()));
}

#[test]
fn more_names_than_fit_are_left_out_once_and_not_again_and_again() {
    let home = tempfile::tempdir().unwrap();
    let names: Vec<_> = (0..100).map(|n| format!("n{n}.example")).collect();
    let own = Own { dir: home.path().join("tls"), must: names, may: vec![] };
    let first = own.open(NOW).unwrap();
    assert_eq!(own.open(NOW).unwrap().fingerprint, first.fingerprint);
}

#[test]
fn a_name_that_the_authority_may_not_speak_for_needs_a_new_one() {
    let home = tempfile::tempdir().unwrap();
    own(home.path(), &["localhost"], &[]).open(NOW).unwrap();
    let before = read(&home.path().join("tls").join(AUTHORITY)).unwrap();
    let named = own(home.path(), &["localhost", "tl.example"], &[]).open(NOW).unwrap();
    assert_ne!(read(&home.path().join("tls").join(AUTHORITY)).unwrap(), before);
    assert_eq!(is_taken(home.path(), &named, "tl.example", NOW), Ok(()));
}

#[test]
fn what_cannot_be_used_says_which_file_and_why() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let told = |cert: &str, key: &str| Identity::read(&at(cert), &at(key)).unwrap_err().to_string();
    let key = rcgen::KeyPair::generate().unwrap();
    let made = rcgen::CertificateParams::new(["a.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let pem = |label: &str, der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    };
    std::fs::write(at("cert.pem"), pem("CERTIFICATE", made.der())).unwrap();
    std::fs::write(at("key.pem"), pem("PRIVATE KEY", key.serialized_der())).unwrap();
    let other = rcgen::KeyPair::generate().unwrap();
    std::fs::write(at("other.pem"), pem("PRIVATE KEY", other.serialized_der())).unwrap();
    std::fs::write(at("text"), "hello").unwrap();
    std::fs::write(at("bytes.pem"), pem("CERTIFICATE", b"hello")).unwrap();
    assert!(told("none.pem", "key.pem").contains("none.pem cannot be used: No such file"));
    assert!(told("text", "key.pem").contains("text holds no certificate"));
    assert!(told("cert.pem", "text").contains("text holds no private key"));
    assert!(told("cert.pem", "other.pem").contains("the key belongs to another certificate"));
    assert!(told("bytes.pem", "key.pem").contains("cannot be used together"));
    assert!(Tls::new(Identity::read(&at("cert.pem"), &at("key.pem")).unwrap(), None).is_for("a.example"));
    std::fs::create_dir(at("tls")).unwrap();
    std::fs::write(at("tls/own.json"), "{").unwrap();
    let damaged = own(home.path(), &["localhost"], &[]).open(NOW).unwrap_err().to_string();
    assert!(damaged.contains("own.json is damaged") && damaged.contains("Remove it"), "{damaged}");
}

#[test]
fn files_that_change_are_read_again_and_half_a_renewal_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let (cert, key) = (home.path().join("cert.pem"), home.path().join("key.pem"));
    let write = |name: &str| {
        use base64::Engine as _;
        let pair = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new([name.to_owned()]).unwrap().self_signed(&pair).unwrap();
        let encode = |der: &[u8]| base64::engine::general_purpose::STANDARD.encode(der);
        let cert =
            format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", encode(made.der()));
        let key = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            encode(pair.serialized_der())
        );
        (cert, key)
    };
    let (first, second) = (write("first.example"), write("the.second.example"));
    std::fs::write(&cert, first.0).unwrap();
    std::fs::write(&key, first.1).unwrap();
    let source = Source::Files { cert: cert.clone(), key: key.clone() };
    let (mut watch, identity) = Watch::start(source, NOW).unwrap();
    assert!(watch.look(NOW).unwrap().is_none());
    std::fs::write(&cert, second.0).unwrap();
    assert!(watch.look(NOW).is_err(), "the key is not there yet");
    assert!(watch.look(NOW).unwrap().is_none(), "and that is told once");
    std::fs::remove_file(&key).unwrap();
    assert!(watch.look(NOW).is_err());
    std::fs::write(&key, second.1).unwrap();
    let renewed = watch.look(NOW).unwrap().unwrap();
    assert_ne!(renewed.fingerprint, identity.fingerprint);
    assert!(Tls::new(renewed, None).is_for("the.second.example"));
}
