//! TUN devices: network interfaces whose packets we carry.

use std::{ffi::c_int, io, os::fd::OwnedFd};

use rustix::{
    fs::{Mode, OFlags, open},
    ioctl::{Opcode, Updater, ioctl, opcode},
};

/// Attaches a file to a TUN device: `linux/if_tun.h`.
const TUNSETIFF: Opcode = opcode::write::<c_int>(b'T', 202);

/// Longest name of an interface, with the zero at its end: `IFNAMSIZ` of `linux/if.h`.
const NAME_BYTES: usize = 16;
/// Packets of IP, without a header of Ethernet or of TUN: `linux/if_tun.h`.
const IFF_TUN: u16 = 0x0001;
const IFF_NO_PI: u16 = 0x1000;

/// Makes an interface of this name in the network namespace of the calling thread. It lives as long as what is
/// returned, from which its outgoing packets are read and to which its incoming ones are written, without waiting.
///
/// # Errors
///
/// When the system has no TUN devices or does not allow them.
pub(super) fn create(name: &str) -> io::Result<OwnedFd> {
    let tun =
        open("/dev/net/tun", OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut request =
        SetInterface { name: [0; NAME_BYTES], flags: IFF_TUN | IFF_NO_PI, unused: [0; 22] };
    if name.len() >= NAME_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the interface's name is too long",
        ));
    }
    request.name[..name.len()].copy_from_slice(name.as_bytes());
    // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, whose layout `SetInterface` has and which outlives the call.
    #[expect(unsafe_code, reason = "nothing safe that is here sets up a TUN device")]
    unsafe { ioctl(&tun, Updater::<TUNSETIFF, SetInterface>::new(&mut request)) }?;
    Ok(tun)
}

/// `struct ifreq` of `linux/if.h` as TUNSETIFF of `linux/if_tun.h` uses it.
#[repr(C)]
struct SetInterface {
    name: [u8; NAME_BYTES],
    flags: u16,
    unused: [u8; 22],
}
