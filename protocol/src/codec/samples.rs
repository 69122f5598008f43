//! Messages for tests: a fixed one of each kind, and any.

#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::option;
use proptest::prelude::*;

use crate::attributes::DosAttributes;
use crate::code::{Failure, Operation, RefusalCode};
use crate::limits::{CHUNK_BYTES_MAX, FILE_BYTES_MAX, NAME_BYTES_MAX};
use crate::message::*;
use crate::meta::*;
use crate::options::*;
use crate::path::{Name, RelPath};
use crate::verdict::*;

/// One message of each kind, in the order of their numbers. Their bytes are fixed in the golden table.
pub(crate) fn one_of_each() -> Vec<Message> {
    let want = WantId(300);
    let entry = EntryId { dir: DirId(7), index: 2 };
    let failure = Failure::new(Operation::CopyFile, 5, "denied");
    let attributes = vec![Attribute { name: Box::from(*b"user.a"), value: Box::from(*b"\0v") }];
    let data = Bytes::from_static(b"content");
    let digest = Digest(std::array::from_fn(|i| i as u8));
    let meta = Meta {
        size_bytes: 4096,
        modified: Timestamp { seconds: -1, nanos: 999_999_999 },
        mode: 0o644,
        owner: 1000,
        group: 100,
        attributes: Some(DosAttributes::HIDDEN),
    };
    let flat = Meta { size_bytes: 0, attributes: None, ..meta };
    let entry_of = |name: &str, kind, meta, skip| Entry {
        name: Name::new(name.as_bytes()).unwrap(),
        kind,
        meta,
        skip,
    };
    let path = RelPath::parse(b"a/b").unwrap();
    vec![
        Hello {
            version_min: 1,
            version_max: 2,
            features: 1 << 40,
            program: "quicopy 0.1.0".into(),
        }
        .into(),
        Refused { code: RefusalCode::Busy, reason: "held".into() }.into(),
        Message::Ping(Ping { number: 70_000 }),
        Message::Pong(Ping { number: 70_000 }),
        PairRequest { body: data.clone() }.into(),
        PairReply { body: data.clone() }.into(),
        OpenJob {
            job: JobId([0xab; 16]),
            attempt: 3,
            share: "scripts".into(),
            path: path.clone(),
            policy: JobPolicy {
                selection: Selection {
                    include_files: vec!["*.txt".into()],
                    exclude_dirs: vec![Rule::Name(".git".into()), Rule::Path(path.clone())],
                    max_bytes: Some(1 << 33),
                    recurse: Recurse::All,
                    levels: Some(4),
                    attributes: AttributeFilter {
                        none_of: DosAttributes::HIDDEN,
                        ..AttributeFilter::default()
                    },
                    modified: TimeRange { from: Some(flat.modified), to: None },
                    ..Selection::default()
                },
                copy: CopyFlags::DAT,
                dcopy: CopyFlags::DA,
                content_check: ContentCheck::LooksSame,
                fix: Fix { security: true, times: false },
                attributes_remove: DosAttributes::ARCHIVE,
                writing: Writing { read_back: true, ..Writing::default() },
                space_floor: Some(SpaceFloor::default()),
                purge: true,
                max_delete: Some(DeleteLimit::Percent(10)),
                marker: Some(Name::new(*b"here").unwrap()),
                trash_days: Some(7),
                plan: Some(PlanId([7; 16])),
                ..JobPolicy::default()
            },
            origin: Origin { machine: [1; 32], chain: vec![(2, 3), (2, 400)] },
            label: "host:/src".into(),
        }
        .into(),
        JobOpened {
            time_step_nanos: 100,
            conflicts_known: true,
            first_job: false,
            durability: Durability::Group,
            trash_days: Some(7),
        }
        .into(),
        Goodbye { complete: true }.into(),
        Listing {
            dir: DirId(7),
            path: path.clone(),
            meta: flat,
            attributes: attributes.clone(),
            entries: vec![
                entry_of("dir", Kind::Directory, flat, None),
                entry_of("file", Kind::File, meta, None),
                entry_of(
                    "link",
                    Kind::Link { target: Box::from(*b"../x") },
                    flat,
                    Some(Skip::Link),
                ),
                entry_of("name", Kind::HardLink { first: path.clone() }, meta, None),
                entry_of("pipe", Kind::Special, flat, Some(Skip::Special)),
            ],
            state: ListingState::Incomplete(failure.clone()),
        }
        .into(),
        ScanEnd { directories: 8 }.into(),
        Plan {
            dir: DirId(7),
            state: DirState::Existing,
            verdicts: vec![Verdict {
                index: 1,
                class: FileClass::Newer,
                action: Action::Copy,
                conflict: true,
            }],
            same: Tally { entries: 2, bytes: 600 },
            last: true,
        }
        .into(),
        Extras {
            dir: DirId(7),
            entries: vec![ExtraEntry {
                path: path.clone(),
                is_dir: false,
                size_bytes: 9,
                modified: Timestamp { seconds: 1, nanos: 0 },
                kept: Some(Kept::Named),
                conflict: false,
            }],
        }
        .into(),
        Want { want, entry, basis: Basis::Bytes }.into(),
        Lack { want, runs: vec![(0, 2), (5, 1)], answered: 6 }.into(),
        Cancel { want }.into(),
        ChunkList {
            want,
            average_bytes: 16_384,
            offset: 1 << 20,
            chunks: vec![(16_000, digest), (1, digest)],
            last: true,
        }
        .into(),
        Chunk { want, offset: 1 << 20, digest, data: data.clone() }.into(),
        Hole { want, offset: 4096, length: 1 << 40 }.into(),
        WholeFile { want, digest, attributes: attributes.clone(), data }.into(),
        FileEnd { want, size_bytes: 4096, digest, attributes }.into(),
        FileFailed { want, sent_bytes: 4096, failure: failure.clone() }.into(),
        Outcomes {
            entries: vec![
                Outcome {
                    entry,
                    result: OutcomeResult::Done(Origins {
                        literal_bytes: 1,
                        reused_bytes: 2,
                        resumed_bytes: 3,
                        hole_bytes: 4,
                    }),
                },
                Outcome { entry, result: OutcomeResult::Failed(failure.clone()) },
            ],
            removals: vec![Removal { path, is_dir: true, failure: None }],
            settled: DirId(7),
        }
        .into(),
        Retrying { entry, failure, wait_seconds: 30 }.into(),
        Notice { text: "times of 2 s".into() }.into(),
        JobDone {
            deleted: 1,
            trashed: 1,
            protected_dirs: 0,
            guard: Some("too many".into()),
            plan: Some(PlanId([7; 16])),
            directories: DirId(7),
        }
        .into(),
    ]
}

/// Any message that keeps the rules of its kind.
pub(crate) fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![control(), listings(), verdicts(), content(), outcomes()]
}

fn control() -> impl Strategy<Value = Message> {
    let body = || vec(any::<u8>(), 0..64).prop_map(Bytes::from);
    prop_oneof![
        (any::<u16>(), any::<u16>(), any::<u64>(), words()).prop_map(
            |(a, b, features, program)| {
                Hello { version_min: a.min(b), version_max: a.max(b), features, program }.into()
            }
        ),
        (select(REFUSALS), words()).prop_map(|(code, reason)| Refused { code, reason }.into()),
        any::<u64>().prop_map(|number| Message::Ping(Ping { number })),
        any::<u64>().prop_map(|number| Message::Pong(Ping { number })),
        body().prop_map(|body| PairRequest { body }.into()),
        body().prop_map(|body| PairReply { body }.into()),
        any::<bool>().prop_map(|complete| Goodbye { complete }.into()),
        (1..=2_000_000_000_u32, any::<bool>(), any::<bool>()).prop_map(
            |(time_step_nanos, conflicts_known, first_job)| {
                let durability = Durability::File;
                let trash_days = first_job.then_some(u16::MAX);
                JobOpened { time_step_nanos, conflicts_known, first_job, durability, trash_days }
                    .into()
            }
        ),
        (any::<[u8; 16]>(), any::<u32>(), "[a-z]{1,64}", path(), policy(), words()).prop_map(
            |(job, attempt, share, path, policy, label)| {
                let origin = Origin { machine: [9; 32], chain: vec![(1, u64::MAX)] };
                OpenJob { job: JobId(job), attempt, share, path, policy, origin, label }.into()
            }
        ),
    ]
}

fn policy() -> impl Strategy<Value = JobPolicy> {
    let rule = prop_oneof!["[a-z*?]{1,9}".prop_map(Rule::Name), path().prop_map(Rule::Path)];
    let limit = prop_oneof![
        any::<u64>().prop_map(DeleteLimit::Count),
        (0..=100_u8).prop_map(DeleteLimit::Percent)
    ];
    (
        vec("[a-z*?]{1,9}", 0..4),
        vec(rule, 0..4),
        option::of(any::<u64>()),
        option::of(limit),
        any::<[bool; 4]>(),
        any::<[u32; 2]>(),
    )
        .prop_map(|(include_files, exclude_files, max_bytes, max_delete, flags, numbers)| {
            let selection =
                Selection { include_files, exclude_files, max_bytes, ..Selection::default() };
            JobPolicy {
                selection,
                copy: CopyFlags { security: flags[0], ..CopyFlags::DAT },
                conflict: ConflictPolicy::Keep,
                purge: flags[1],
                list_only: flags[2],
                delta: flags[3],
                max_delete,
                retry: Retry { retries: numbers[0], wait_seconds: numbers[1] },
                ..JobPolicy::default()
            }
        })
}

fn listings() -> impl Strategy<Value = Message> {
    let state = prop_oneof![
        Just(ListingState::More),
        Just(ListingState::Complete),
        failure().prop_map(ListingState::Incomplete)
    ];
    let kind = prop_oneof![
        3 => Just(Kind::File),
        1 => Just(Kind::Directory),
        1 => Just(Kind::Special),
        1 => vec(1..=u8::MAX, 1..40).prop_map(|target| Kind::Link { target: target.into() }),
    ];
    let entries = btree_map(name(), (kind, meta(), option::of(select(SKIPS))), 0..9);
    let chunks = vec((1..=CHUNK_BYTES_MAX as u32, digest()), 0..9);
    prop_oneof![
        (any::<u64>(), path(), meta(), attributes(), entries, state).prop_map(
            |(dir, path, meta, attributes, entries, mut state)| {
                if entries.is_empty() {
                    state = ListingState::Complete;
                }
                let entry = |(name, (kind, mut meta, skip)): (Name, (Kind, Meta, Option<Skip>))| {
                    if kind != Kind::File {
                        meta.size_bytes = 0;
                    }
                    Entry { name, kind, meta, skip }
                };
                let entries = entries.into_iter().map(entry).collect();
                Listing { dir: DirId(dir), path, meta, attributes, entries, state }.into()
            }
        ),
        any::<u64>().prop_map(|directories| ScanEnd { directories }.into()),
        (want(), 0..=20_u32, 0..u64::MAX / 2, chunks).prop_map(|(want, power, offset, chunks)| {
            let last = chunks.len() < 4;
            ChunkList { want, average_bytes: 1 << power, offset, chunks, last }.into()
        }),
    ]
}

fn verdicts() -> impl Strategy<Value = Message> {
    let state = prop_oneof![
        Just(DirState::New),
        Just(DirState::Deferred),
        failure().prop_map(DirState::Failed)
    ];
    let verdict = |index| Verdict {
        index,
        class: FileClass::Lonely,
        action: Action::Restamp,
        conflict: index % 2 == 0,
    };
    let extra = (entry_path(), any::<bool>(), any::<u64>(), time()).prop_map(
        |(path, is_dir, size_bytes, modified)| ExtraEntry {
            path,
            is_dir,
            size_bytes,
            modified,
            kept: is_dir.then_some(Kept::Mount),
            conflict: !is_dir,
        },
    );
    prop_oneof![
        (any::<u64>(), state, btree_set(any::<u32>(), 0..9), any::<[u64; 2]>()).prop_map(
            move |(dir, state, indices, [entries, bytes])| {
                let verdicts = indices.into_iter().map(verdict).collect();
                let same = Tally { entries, bytes };
                Plan { dir: DirId(dir), state, verdicts, same, last: true }.into()
            }
        ),
        (any::<u64>(), vec(extra, 0..5)).prop_map(|(dir, entries)| Extras {
            dir: DirId(dir),
            entries
        }
        .into()),
        (want(), entry_id(), any::<bool>()).prop_map(|(want, entry, known)| {
            let basis = if known { Basis::Bytes } else { Basis::Nothing };
            Want { want, entry, basis }.into()
        }),
        (want(), vec((1..9_u32, 1..9_u32), 0..9), any::<u32>()).prop_map(|(want, steps, more)| {
            let mut at = 0;
            let run = |(gap, count)| {
                let first = at + gap;
                at = first + count;
                (first, count)
            };
            let runs = steps.into_iter().map(run).collect();
            Lack { want, runs, answered: more.max(at) }.into()
        }),
        want().prop_map(|want| Cancel { want }.into()),
    ]
}

fn content() -> impl Strategy<Value = Message> {
    let offset = || 0..u64::MAX / 2;
    let data = |min| vec(any::<u8>(), min..99).prop_map(Bytes::from);
    prop_oneof![
        (want(), offset(), digest(), data(1)).prop_map(|(want, offset, digest, data)| {
            Chunk { want, offset, digest, data }.into()
        }),
        (want(), offset(), 1..u64::MAX / 2).prop_map(|(want, offset, length)| Hole {
            want,
            offset,
            length
        }
        .into()),
        (want(), digest(), attributes(), data(0)).prop_map(|(want, digest, attributes, data)| {
            WholeFile { want, digest, attributes, data }.into()
        }),
        (want(), any::<u64>(), digest(), attributes()).prop_map(
            |(want, size_bytes, digest, attributes)| {
                FileEnd { want, size_bytes, digest, attributes }.into()
            }
        ),
        (want(), any::<u64>(), failure()).prop_map(|(want, sent_bytes, failure)| FileFailed {
            want,
            sent_bytes,
            failure
        }
        .into()),
    ]
}

fn outcomes() -> impl Strategy<Value = Message> {
    let result = prop_oneof![
        failure().prop_map(OutcomeResult::Failed),
        any::<[u64; 4]>().prop_map(|bytes| OutcomeResult::Done(Origins {
            literal_bytes: bytes[0],
            reused_bytes: bytes[1],
            resumed_bytes: bytes[2],
            hole_bytes: bytes[3],
        })),
    ];
    let outcome = (entry_id(), result).prop_map(|(entry, result)| Outcome { entry, result });
    let removal = (entry_path(), any::<bool>(), option::of(failure()))
        .prop_map(|(path, is_dir, failure)| Removal { path, is_dir, failure });
    prop_oneof![
        (vec(outcome, 0..5), vec(removal, 0..5), any::<u64>()).prop_map(
            |(entries, removals, settled)| {
                Outcomes { entries, removals, settled: DirId(settled) }.into()
            }
        ),
        (entry_id(), failure(), any::<u32>()).prop_map(|(entry, failure, wait_seconds)| {
            Retrying { entry, failure, wait_seconds }.into()
        }),
        words().prop_map(|text| Notice { text }.into()),
        (any::<[u64; 3]>(), option::of(words())).prop_map(|(numbers, guard)| {
            let [deleted, protected_dirs, directories] = numbers;
            let plan = guard.is_none().then_some(PlanId([3; 16]));
            let directories = DirId(directories);
            JobDone { deleted, trashed: 0, protected_dirs, guard, plan, directories }.into()
        }),
    ]
}

const REFUSALS: &[RefusalCode] =
    &[RefusalCode::Version, RefusalCode::ShareOffline, RefusalCode::Revoked];
const SKIPS: &[Skip] = &[Skip::Named, Skip::Loop, Skip::Unreadable];
const OPERATIONS: &[Operation] =
    &[Operation::AccessSourceDirectory, Operation::DeleteSourceDirectory];

fn select<T: Copy + std::fmt::Debug + 'static>(from: &'static [T]) -> impl Strategy<Value = T> {
    (0..from.len()).prop_map(move |at| from[at])
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof!["\\PC{0,20}", Just("x".repeat(1024))]
}

fn failure() -> impl Strategy<Value = Failure> {
    (select(OPERATIONS), any::<u32>(), words())
        .prop_map(|(operation, code, reason)| Failure::new(operation, code, reason))
}

fn want() -> impl Strategy<Value = WantId> {
    any::<u64>().prop_map(WantId)
}

fn entry_id() -> impl Strategy<Value = EntryId> {
    (any::<u64>(), any::<u32>()).prop_map(|(dir, index)| EntryId { dir: DirId(dir), index })
}

fn digest() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (any::<i64>(), 0..1_000_000_000_u32).prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn meta() -> impl Strategy<Value = Meta> {
    let attributes = option::of(any::<u32>().prop_map(DosAttributes::from_bits_known));
    (0..=FILE_BYTES_MAX, time(), 0..=0o7777_u16, any::<[u32; 2]>(), attributes).prop_map(
        |(size_bytes, modified, mode, [owner, group], attributes)| Meta {
            size_bytes,
            modified,
            mode,
            owner,
            group,
            attributes,
        },
    )
}

fn name() -> impl Strategy<Value = Name> {
    vec(any::<u8>(), 1..=NAME_BYTES_MAX)
        .prop_filter_map("not a name", |bytes| Name::new(bytes).ok())
        .boxed()
        .prop_union("[a-z.]{3,9}".prop_map(|text| Name::new(text.into_bytes()).unwrap()).boxed())
}

fn path() -> impl Strategy<Value = RelPath> {
    vec(name(), 0..5).prop_map(|names| {
        names.iter().try_fold(RelPath::ROOT, |path, name| path.join(name)).unwrap()
    })
}

fn entry_path() -> impl Strategy<Value = RelPath> {
    (path(), name()).prop_map(|(path, name)| path.join(&name).unwrap())
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let attribute = (vec(1..=u8::MAX, 1..20), vec(any::<u8>(), 0..300))
        .prop_map(|(name, value)| Attribute { name: name.into(), value: value.into() });
    vec(attribute, 0..4)
}
