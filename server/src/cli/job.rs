//! Switches for the program around the job.

use super::switch::{BadValue, Group, Switch, Takes};

pub(super) const GROUP: Group = Group {
    title: "Program",
    rows: &[Switch {
        slash: None,
        long: "state-dir",
        help: "Keep identity, trust and history under DIR, as QUICOPY_HOME does",
        default: None,
        takes: Takes::Value {
            name: "DIR",
            set: |raw, value| {
                if value.is_empty() {
                    return Err(BadValue::new("the name of a folder"));
                }
                raw.state_dir = Some(value.into());
                Ok(())
            },
        },
    }],
};
