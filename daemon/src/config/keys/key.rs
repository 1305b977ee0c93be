//! A key, and how one is written down.

use crate::config::key_form::KeyForm;

/// A table and its keys.
#[derive(Debug, Clone, Copy)]
pub struct KeyTable {
    /// `mqtt`, `camera[].alert[]`.
    pub path: &'static str,
    /// What it is for, in a sentence or two.
    pub about: &'static str,
    /// Its keys, in the order in which they are shown.
    pub keys: &'static [Key],
}

/// One key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name in its table.
    pub name: &'static str,
    /// What its value looks like.
    pub form: KeyForm,
    /// What holds where it is left out.
    pub absent: Absent,
    /// What it means, in a sentence.
    pub about: &'static str,
}

/// What holds where a key is left out. Values are written as TOML has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// It must be there; such as this.
    Refused(&'static str),
    /// The same as with this value.
    Means(&'static str),
    /// What no value says; `about` does. A value may look like this.
    Nothing(&'static str),
    /// The same; the example configuration, which must have one, has this.
    NothingButShown(&'static str),
    /// What may come from the environment only is absent from every file.
    InFilesAlways,
}

impl Key {
    /// What it means, with the limits of its value.
    pub fn sentence(&self) -> String {
        match self.form.limits() {
            Some(limits) => format!("{} {limits}", self.about),
            None => self.about.to_owned(),
        }
    }
}

pub(super) const fn required(
    name: &'static str,
    form: KeyForm,
    example: &'static str,
    about: &'static str,
) -> Key {
    Key { name, form, absent: Absent::Refused(example), about }
}

pub(super) const fn default(
    name: &'static str,
    form: KeyForm,
    value: &'static str,
    about: &'static str,
) -> Key {
    Key { name, form, absent: Absent::Means(value), about }
}

pub(super) const fn optional(
    name: &'static str,
    form: KeyForm,
    example: &'static str,
    about: &'static str,
) -> Key {
    Key { name, form, absent: Absent::Nothing(example), about }
}
