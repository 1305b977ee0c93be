//! The configuration as JSON Schema, for editors.

use serde_json::{Map, Value, json};

use super::keys::{Absent, Key, KeyTable, TABLES, name_of, tables_in};

/// A JSON Schema (draft 7, which editors of TOML know) of a file of the configuration. What the schema
/// takes may still be wrong: whether files are there, names belong together and cameras differ is not for
/// a schema to say. No table is required, for it may stand in another file.
pub fn schema() -> Value {
    let mut schema = object("", &[], "The configuration of Belvedere.");
    schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    schema["title"] = json!("Belvedere");
    schema
}

fn object(path: &str, keys: &[Key], about: &str) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys {
        let inside = format!("{path}.{}[]", key.name);
        let inside = TABLES.iter().find(|table| table.path == inside).map(of_table);
        let mut value = key.form.schema(inside);
        value["description"] = json!(key.sentence());
        match key.absent {
            Absent::InFilesAlways => continue,
            Absent::Refused(_) => required.push(key.name),
            Absent::Means(text) => {
                if let Some(default) = json_of(text) {
                    value["default"] = default;
                }
            }
            Absent::Nothing(_) | Absent::NothingButShown(_) => {}
        }
        properties.insert(key.name.to_owned(), value);
    }
    for table in tables_in(path) {
        let name = name_of(table.path);
        if !properties.contains_key(name) {
            let value = match table.path.ends_with("[]") {
                true => json!({ "type": "array", "items": of_table(table) }),
                false => of_table(table),
            };
            properties.insert(name.to_owned(), value);
        }
    }
    // A table that other files and the environment add to may lack what they have.
    let required = if path.contains("[]") { required } else { Vec::new() };
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    })
}

fn of_table(table: &KeyTable) -> Value {
    object(table.path, table.keys, table.about)
}

/// A value as TOML writes it.
fn json_of(toml: &str) -> Option<Value> {
    toml_edit::de::from_str::<Map<String, Value>>(&format!("value = {toml}")).ok()?.remove("value")
}

#[cfg(test)]
mod tests {
    use super::schema;

    #[test]
    fn the_schema_has_tables_lists_of_tables_and_defaults() {
        let schema = schema();
        let camera = &schema["properties"]["camera"]["items"];
        assert_eq!(camera["required"], serde_json::json!(["name", "url"]));
        assert_eq!(camera["properties"]["fps"]["default"], 2.0);
        let hours = &camera["properties"]["alert"]["items"]["properties"]["schedule"]["items"]["anyOf"][1];
        assert_eq!(hours["required"], serde_json::json!(["hours"]));
        assert_eq!(schema["properties"]["mqtt"]["required"], serde_json::json!([]));
        assert!(schema["properties"]["mqtt"]["properties"].get("password").is_none());
    }
}
