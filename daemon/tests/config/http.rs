//! `[http]`: what is served to whom.

use super::{Folder, GOOD};

fn with(http: &str) -> Folder {
    Folder::new(&format!("{http}\n{GOOD}"))
}

#[test]
fn without_an_address_nothing_is_served() {
    assert_eq!(Folder::new(GOOD).load().unwrap().http, None);
    assert_eq!(with("[http]").load().unwrap().http, None);
}

#[test]
fn on_loopback_no_token_is_needed() {
    for listen in ["127.0.0.1:8750", "127.9.9.9:0", "[::1]:8750"] {
        let http = with(&format!("[http]\nlisten = {listen:?}")).load().unwrap().http.unwrap();
        assert_eq!((http.listen.to_string(), http.token), (listen.to_owned(), None));
    }
}

#[test]
fn any_other_address_needs_a_token_and_it_is_said_how_to_get_one() {
    for listen in ["0.0.0.0:8750", "[::]:8750", "192.0.2.1:80", "[::ffff:192.0.2.1]:80"] {
        let problems = with(&format!("[http]\nlisten = {listen:?}")).problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(
            problems[0].starts_with(&format!("belvedere.toml:2: http.listen: {listen} ")),
            "{problems:?}"
        );
        assert!(problems[0].contains("token_file") && problems[0].contains("openssl rand"), "{problems:?}");
    }
    let folder = with("[http]\nlisten = \"0.0.0.0:8750\"");
    let token = [("BELVEDERE__HTTP__TOKEN", "0123456789abcdef")];
    let http = folder.load_with(&token).unwrap().http.unwrap();
    assert_eq!(http.token.unwrap().reveal(), "0123456789abcdef");
}

#[test]
fn a_token_comes_from_a_file_and_a_weak_one_is_refused_without_being_shown() {
    let folder = with("[http]\nlisten = \"0.0.0.0:8750\"\ntoken_file = \"TOKEN\"");
    let path = folder.write("token", "0123456789abcdef\n");
    let config = std::fs::read_to_string(folder.path("belvedere.toml")).unwrap();
    folder.write("belvedere.toml", &config.replace("TOKEN", path.to_str().unwrap()));
    assert_eq!(folder.load().unwrap().http.unwrap().token.unwrap().reveal(), "0123456789abcdef");
    for weak in ["hunter2", "0123456789 abcdef", "ein-schönes-langes-wort"] {
        folder.write("token", weak);
        let problems = folder.problems();
        assert!(
            problems[0].contains("http.token_file: the token ") && !problems[0].contains(weak),
            "{problems:?}"
        );
    }
    std::fs::remove_file(path).unwrap();
    assert!(folder.problems()[0].contains("openssl rand -hex 24 > "), "{:?}", folder.problems());
}

#[test]
fn mistakes_are_said_with_what_would_be_right() {
    for (http, expected) in [
        (
            "listen = \"localhost:8750\"",
            "http.listen: \"localhost:8750\" is no address with a port; write 127.0.0.1:8750",
        ),
        ("hosts = [\"nvr.example\"]", "http.listen: is missing; write listen = "),
        ("listen = \"127.0.0.1:1\"\nhosts = [\"http://nvr.example\"]", "is no host name"),
        ("listne = \"127.0.0.1:1\"", "http.listne: unknown key (did you mean \"listen\"?)"),
        ("listen = \"127.0.0.1:1\"\ntoken = \"0123456789abcdef\"", "http.token: unknown key"),
    ] {
        let problems = with(&format!("[http]\n{http}")).problems();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{http}: {problems:?}");
        assert!(problems.iter().all(|problem| !problem.contains("0123456789abcdef")), "{problems:?}");
    }
}
