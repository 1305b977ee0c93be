//! The examples in the documents, which are to be taken as they stand.

use std::fs;
use std::path::Path;

use super::Folder;

/// What has a place in a sentence and is no file of ours: certificates are made by those who have an authority.
const OF_OTHERS: &[&str] = &["ca_file", "client_certificate_file", "client_key_file"];

/// The pieces of TOML in a text in Markdown, also those within lists.
fn examples(markdown: &str) -> Vec<String> {
    let mut examples = Vec::new();
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match (&mut open, line.trim()) {
            (None, "```toml") => open = Some(String::new()),
            (Some(_), "```") => examples.extend(open.take()),
            (Some(example), _) => {
                example.push_str(line);
                example.push('\n');
            }
            (None, _) => {}
        }
    }
    assert!(open.is_none(), "a piece of code does not end");
    examples
}

/// As somebody would have it who has all else: a broker, a camera, the files that are named.
fn completed(example: &str) -> Folder {
    let files = Folder::new("");
    let etc = files.path("etc").display().to_string();
    let mut text: String = example
        .lines()
        .filter(|line| !OF_OTHERS.iter().any(|key| line.trim_start().starts_with(key)))
        .map(|line| format!("{}\n", line.replace("/etc/belvedere", &etc)))
        .collect();
    for line in text.clone().lines() {
        if let Some((_, rest)) = line.split_once("_file = \"")
            && let Some((path, _)) = rest.split_once('"')
        {
            let path = Path::new(path).strip_prefix(files.0.path()).unwrap_or(Path::new(path));
            files.write(path.to_str().unwrap(), "some-one:a-secret-of-some-length");
        }
    }
    let has = |table: &str| example.lines().any(|line| line.trim() == table);
    if !has("[[camera]]") {
        text.insert_str(0, "[[camera]]\nname = \"porch\"\nurl = \"test://\"\ntasks = [\"caption\"]\n");
    }
    files.write("belvedere.toml", "mqtt.url = \"mqtt://broker.local\"\n");
    files.write("conf.d/example.toml", &text);
    files
}

#[test]
fn every_example_in_the_documents_is_a_right_configuration() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut documents = vec![root.join("README.md")];
    documents.extend(fs::read_dir(root.join("daemon/docs")).unwrap().map(|entry| entry.unwrap().path()));
    let mut count = 0;
    for document in
        documents.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md"))
    {
        for example in examples(&fs::read_to_string(document).unwrap()) {
            let folder = completed(&example);
            if let Err(problems) = folder.load() {
                panic!("{}:\n{example}\n{:#?}", document.display(), folder.lines(problems));
            }
            count += 1;
        }
    }
    assert!(count > 5, "only {count} examples were found");
}
