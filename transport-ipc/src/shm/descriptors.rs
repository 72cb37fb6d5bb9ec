//! Memory files, and how descriptors go over a socket.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    slice,
};

use rustix::{
    cmsg_space,
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};

/// What one end hands to the other before it lends anything: segment, returns, and the pipe.
pub(super) const TO_BORROW: usize = 3;

/// What one end hands to the other before the stream goes on in its ring: the ring, and the bell of this end.
pub(super) const TO_LISTEN: usize = 2;

/// The most that is handed over at once.
const MOST: usize = TO_BORROW;

/// A file that stays as long as it is: who maps it never finds its end missing.
pub(super) const FIXED: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW);

/// A file of this length that consists of memory, and is gone with the last one who holds it.
pub(super) fn memory(name: &str, len: usize) -> io::Result<OwnedFd> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, len as u64)?;
    Ok(file)
}

/// Seals a file for ever.
pub(super) fn seal(file: &OwnedFd, seals: SealFlags) -> io::Result<()> {
    Ok(fcntl_add_seals(file, seals | SealFlags::SEAL)?)
}

/// The length of somebody else's file, if it has these seals and at most `most` bytes.
pub(super) fn sealed_len(file: &OwnedFd, seals: SealFlags, most: usize) -> io::Result<usize> {
    let invalid = |what| Err(io::Error::new(io::ErrorKind::InvalidData, what));
    // What is no memory file has no seals either.
    if !fcntl_get_seals(file).is_ok_and(|sealed| sealed.contains(seals)) {
        return invalid("memory was handed over that is not sealed");
    }
    match usize::try_from(fstat(file)?.st_size) {
        Ok(len) if (size_of::<u32>()..=most).contains(&len) => Ok(len),
        _ => invalid("memory was handed over that is empty or too large"),
    }
}

/// Writes the start of `slices` with these descriptors.
pub(super) fn send(
    socket: impl AsFd,
    slices: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(descriptors));
    Ok(sendmsg(socket, slices, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT)?)
}

/// Reads what there is to the end of `buffer`, at most its spare room, and hands on the descriptors that come along,
/// those of one message together.
///
/// # Errors
///
/// Those of reading, and when there are more descriptors than anybody has to hand over.
pub(super) fn receive(
    socket: impl AsFd,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(Vec<OwnedFd>) -> io::Result<()>,
) -> io::Result<usize> {
    let mut taken = 0;
    let mut read = receive_some(&socket, buffer, &mut taken, &mut take)?;
    // The system ends a read behind descriptors, whatever follows them.
    while taken > 0 && buffer.len() < buffer.capacity() {
        taken = 0;
        match receive_some(&socket, buffer, &mut taken, &mut take) {
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

fn receive_some(
    socket: impl AsFd,
    buffer: &mut Vec<u8>,
    taken: &mut usize,
    take: &mut impl FnMut(Vec<OwnedFd>) -> io::Result<()>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let filled = buffer.len();
    let spare = buffer.spare_capacity_mut();
    // SAFETY: it is memory that nobody else has, and the kernel only writes to it.
    let spare = unsafe { slice::from_raw_parts_mut(spare.as_mut_ptr().cast::<u8>(), spare.len()) };
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = recvmsg(socket, &mut [IoSliceMut::new(spare)], &mut control, flags)?;
    // SAFETY: the kernel has written so many bytes there.
    unsafe { buffer.set_len(filled + received.bytes) };
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            *taken += 1;
            take(descriptors.collect())?;
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "too many descriptors were handed over"));
    }
    Ok(received.bytes)
}
