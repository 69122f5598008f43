//! DOS attributes on file systems that have none: read-only as the permission bits say, the others as Samba keeps them in
//! the extended attribute `user.DOSATTRIB`.
//!
//! Source: `xattr_DOSATTRIB` in Samba's `librpc/idl/xattr.idl`, written as NDR: an empty string with its padding (2 bytes),
//! the version twice (2 and 4 bytes), then fields of the version. Before Samba 3.5 it was a number as text, `0x20`.

use quicopy_protocol::attributes::DosAttributes;

/// Where Samba keeps them.
pub(crate) const NAME: &[u8] = b"user.DOSATTRIB";

/// Longest value that is read; Samba's own has 32 to 64 bytes.
pub(crate) const VALUE_BYTES_MAX: usize = 256;

/// Any permission to write.
const WRITE: u16 = 0o222;

/// What an entry counts as that has these permission bits, and this value of `user.DOSATTRIB` or none.
pub(crate) fn of(mode: u16, value: Option<&[u8]>) -> DosAttributes {
    let kept = value.and_then(read).unwrap_or_default();
    if mode & WRITE == 0 { kept.with(DosAttributes::READ_ONLY) } else { kept }
}

/// What a value of `user.DOSATTRIB` says; `None` if it cannot be read.
pub(crate) fn read(value: &[u8]) -> Option<DosAttributes> {
    if let Some(at) = place(value) {
        let bytes = value.get(at..at + 4)?.try_into().ok()?;
        return Some(DosAttributes::from_bits_known(u32::from_le_bytes(bytes)));
    }
    let text = value.split(|&byte| byte == 0).next()?;
    let digits = std::str::from_utf8(text).ok()?.strip_prefix("0x")?;
    u32::from_str_radix(digits, 16).ok().map(DosAttributes::from_bits_known)
}

/// The value that says `attributes`, and otherwise what `old` says, such as the time of creation.
pub(crate) fn write(old: Option<&[u8]>, attributes: DosAttributes) -> Vec<u8> {
    let mut value = match old.filter(|old| place(old).is_some()) {
        Some(old) => old.to_vec(),
        None => fresh(),
    };
    if let Some(at) = place(&value) {
        let field = &mut value[at..at + 4];
        let before = u32::from_le_bytes([field[0], field[1], field[2], field[3]]);
        let known = u32::from(DosAttributes::from_bits_known(u32::MAX).bits());
        let after = before & !known | u32::from(attributes.bits());
        field.copy_from_slice(&after.to_le_bytes());
    }
    value
}

/// Version 4 with nothing in it but attributes. Source: `xattr_DosInfo4`; valid flags, attributes, two times.
fn fresh() -> Vec<u8> {
    const ATTRIBUTES_ARE_VALID: u8 = 1;
    let mut value = vec![0; 32];
    (value[2], value[4], value[8]) = (4, 4, ATTRIBUTES_ARE_VALID);
    value
}

/// Where the attributes stand in a value of Samba 3.5 or later.
fn place(value: &[u8]) -> Option<usize> {
    let [0, _, version, 0, again, 0, _, _, ..] = value else { return None };
    let at = match version {
        1 => 8,
        // Behind flags that say which fields are valid.
        2..=5 => 12,
        _ => return None,
    };
    (version == again && value.len() >= at + 4).then_some(at)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Written by Samba 4: version 3, valid flags 0x11, archive, and a time of creation.
    const SAMBA: [u8; 20] =
        [0, 0, 3, 0, 3, 0, 0, 0, 0x11, 0, 0, 0, 0x20, 0, 0, 0, 0xce, 0x82, 0xb7, 0x99];

    fn letters(mode: u16, value: Option<&[u8]>) -> String {
        of(mode, value).to_string()
    }

    #[test]
    fn what_samba_wrote_is_read() {
        assert_eq!(letters(0o644, Some(&SAMBA)), "A");
        assert_eq!(letters(0o644, Some(b"0x27\0")), "RASH");
        assert_eq!(letters(0o644, Some(b"0x6")), "SH");
        assert_eq!(letters(0o644, Some(&[0, 0, 1, 0, 1, 0, 0, 0, 2, 0, 0, 0])), "H");
    }

    #[test]
    fn a_file_that_nobody_may_write_is_read_only() {
        assert_eq!(letters(0o444, None), "R");
        assert_eq!(letters(0o464, None), "");
        assert_eq!(letters(0o444, Some(b"0x20")), "RA");
    }

    #[test]
    fn what_is_no_value_says_nothing() {
        for value in [&b""[..], b"0x", b"0xzz", b"32", &SAMBA[..14], &[0; 40]] {
            assert_eq!(read(value), None, "{value:?}");
        }
    }

    #[test]
    fn writing_keeps_what_else_the_value_says() {
        let hidden = write(Some(&SAMBA), DosAttributes::HIDDEN);
        assert_eq!((hidden.len(), &hidden[16..]), (SAMBA.len(), &SAMBA[16..]));
        assert_eq!(read(&hidden), Some(DosAttributes::HIDDEN));
        assert_eq!(read(&write(Some(b"0x20"), DosAttributes::SYSTEM)), Some(DosAttributes::SYSTEM));
        assert_eq!(read(&write(None, DosAttributes::NONE)), Some(DosAttributes::NONE));
    }

    proptest! {
        #[test]
        fn any_value_can_be_read_and_written_over(
            value in prop::collection::vec(any::<u8>(), 0..64), bits in any::<u32>(),
        ) {
            let attributes = DosAttributes::from_bits_known(bits);
            read(&value);
            prop_assert_eq!(read(&write(Some(&value), attributes)), Some(attributes));
        }
    }
}
