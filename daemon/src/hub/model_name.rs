//! The name of a model on the hub.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::HubError;

/// `OWNER/NAME`, of letters, digits, `-`, `_` and `.`: fit for an address and for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelName {
    owner: String,
    name: String,
}

impl ModelName {
    /// `OWNER/NAME`, where it lies below the folder of models.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(&self.owner).join(&self.name)
    }

    /// The same as the name of one file or folder.
    pub(super) fn flat(&self) -> String {
        format!("{}--{}", self.owner, self.name)
    }
}

impl FromStr for ModelName {
    type Err = HubError;

    fn from_str(text: &str) -> Result<ModelName, HubError> {
        let is_part = |part: &str| {
            !part.is_empty()
                && part.len() <= 96
                && !part.starts_with('.')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
        };
        match text.split_once('/') {
            Some((owner, name)) if is_part(owner) && is_part(name) => {
                Ok(ModelName { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(HubError::Name { name: text.to_owned() }),
        }
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::ModelName;

    #[test]
    fn a_name_is_an_owner_and_a_name_and_leads_nowhere_else() {
        let name: ModelName = "microsoft/Florence-2-base-ft".parse().unwrap();
        assert_eq!(name.to_string(), "microsoft/Florence-2-base-ft");
        assert_eq!(name.path(), std::path::Path::new("microsoft/Florence-2-base-ft"));
        for wrong in
            ["", "a", "a/", "/b", "a/b/c", "../b", "a/..", "a/b?c", "a b/c", "a/b\n", "https://hub/a/b"]
        {
            assert!(wrong.parse::<ModelName>().is_err(), "{wrong:?}");
        }
    }
}
