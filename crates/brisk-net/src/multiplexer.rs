//! All channels of one connection, without I/O: what arrives is [fed](Multiplexer::feed), what is to be sent is [taken](Multiplexer::take_output).
//!
//! Each side numbers the channels that it opens. Invariants: a batch is sent only with credit; control frames overtake batches; batches of
//! a channel keep their order; what is kept for the other side is bounded, and so is what it can make this side keep.

use crate::credit::{ReceiveCredit, SendCredit, Window};
use crate::frame::{self, Decoded, Decoder, Frame, Kind};
use brisk_base::{Error, ErrorKind, Result};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;

/// A channel, by its number among those that its sender has opened on the connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChannelId(pub u64);

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Channels that the other side may have open at once.
const MOST_CHANNELS: usize = 1 << 16;

/// Bytes of a channel's descriptor, and of the reason of a failure.
const MOST_TEXT: usize = 1 << 16;

/// Bytes of batches that wait to be written; beyond that, nothing more is taken.
const DATA_QUEUE: usize = 4 << 20;

/// Bytes of control frames that wait to be written; beyond that, the other side does not read, and is given up.
const CONTROL_QUEUE: usize = 64 << 20;

/// Something that somebody may have waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// The other side has opened a channel, with this descriptor: [accept](Multiplexer::accept) or [reject](Multiplexer::reject) it.
    Opened(ChannelId, Vec<u8>),
    /// A channel of the other side has something to [receive](Multiplexer::receive).
    Readable(ChannelId),
    /// A channel of this side may have room again, or has failed.
    Writable(ChannelId),
}

/// What there is to receive.
#[derive(Debug)]
pub enum Received {
    /// A batch.
    Batch(Vec<u8>),
    /// Nothing yet.
    Nothing,
    /// There will not be more; all has been received.
    Finished,
    /// The channel has failed.
    Failed(Error),
}

/// What is known of a failure. Errors cannot be copied.
#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
}

impl Failure {
    fn of(error: &Error) -> Self {
        Self { kind: error.kind(), message: error.to_string() }
    }

    fn error(&self) -> Error {
        Error::new(self.kind, self.message.clone())
    }
}

/// A channel that this side has opened.
#[derive(Default)]
struct Sending {
    credit: SendCredit,
    failure: Option<Failure>,
}

/// A channel that the other side has opened.
struct Receiving {
    /// Known once it has been accepted.
    credit: Option<ReceiveCredit>,
    /// Arrived and not received: bounded by the credit.
    batches: VecDeque<Vec<u8>>,
    finished: bool,
    failure: Option<Failure>,
}

/// See the module.
pub struct Multiplexer {
    /// Whether batches are compressed.
    compress: bool,
    decoder: Decoder,
    /// Whether the other side's first frame has come.
    greeted: bool,
    sending: BTreeMap<ChannelId, Sending>,
    receiving: BTreeMap<ChannelId, Receiving>,
    /// The number of the next channel that this side opens.
    next: u64,
    /// Control frames to be written.
    control: Vec<u8>,
    /// Batches to be written, as frames.
    data: VecDeque<Vec<u8>>,
    /// Bytes of them.
    data_bytes: usize,
    /// Channels of this side that have been refused for want of room or credit.
    blocked: BTreeSet<ChannelId>,
    /// Why the connection has failed.
    lost: Option<Failure>,
}

impl Multiplexer {
    /// One side of a connection that has just been made.
    pub fn new(compress: bool) -> Self {
        let mut control = Vec::new();
        frame::encode_hello(&mut control);
        Self {
            compress,
            decoder: Decoder::default(),
            greeted: false,
            sending: BTreeMap::new(),
            receiving: BTreeMap::new(),
            next: 0,
            control,
            data: VecDeque::new(),
            data_bytes: 0,
            blocked: BTreeSet::new(),
            lost: None,
        }
    }

    /// Opens a channel.
    ///
    /// # Errors
    /// When the connection has failed, or the descriptor is too large.
    pub fn open(&mut self, descriptor: &[u8]) -> Result<ChannelId> {
        if let Some(lost) = &self.lost {
            return Err(lost.error());
        }
        if descriptor.len() > MOST_TEXT {
            return Err(Error::user(format!("a channel's descriptor has {} bytes; {MOST_TEXT} are the most", descriptor.len())));
        }
        let channel = ChannelId(self.next);
        self.next += 1;
        self.sending.insert(channel, Sending::default());
        self.control_frame(Kind::Open, channel, descriptor);
        Ok(channel)
    }

    /// Whether a small batch would be taken now; if not, [`Event::Writable`] tells when to ask again.
    ///
    /// # Errors
    /// When the channel has failed.
    pub fn has_room(&mut self, channel: ChannelId) -> Result<bool> {
        let Some(sending) = self.sending.get(&channel) else { return Err(Error::bug(format!("channel {channel} is not open"))) };
        if let Some(failure) = &sending.failure {
            return Err(failure.error());
        }
        let room = sending.credit.allows(1) && self.data_bytes < DATA_QUEUE;
        if !room {
            self.blocked.insert(channel);
        }
        Ok(room)
    }

    /// Sends a batch. False if there is no room for it now: [`Event::Writable`] tells when to try again.
    ///
    /// # Errors
    /// When the channel has failed, or the batch is too large.
    pub fn send(&mut self, channel: ChannelId, batch: &[u8]) -> Result<bool> {
        let Some(sending) = self.sending.get_mut(&channel) else { return Err(Error::bug(format!("channel {channel} is not open"))) };
        if let Some(failure) = &sending.failure {
            return Err(failure.error());
        }
        if !sending.credit.allows(batch.len() as u64) || self.data_bytes >= DATA_QUEUE {
            self.blocked.insert(channel);
            return Ok(false);
        }
        let mut encoded = Vec::new();
        frame::encode(Kind::Data, channel.0, batch, self.compress, &mut encoded)?;
        sending.credit.spend(batch.len() as u64);
        self.data_bytes += encoded.len();
        self.data.push_back(encoded);
        Ok(true)
    }

    /// Everything has been sent. The channel is forgotten here.
    pub fn finish(&mut self, channel: ChannelId) {
        self.end(channel, Kind::Finish, &[]);
    }

    /// The channel's sender has failed. The channel is forgotten here.
    pub fn fail(&mut self, channel: ChannelId, why: &str) {
        self.end(channel, Kind::Fail, text(why));
    }

    /// Behind the batches of the channel.
    fn end(&mut self, channel: ChannelId, kind: Kind, payload: &[u8]) {
        self.blocked.remove(&channel);
        let alive = self.sending.remove(&channel).is_some_and(|sending| sending.failure.is_none());
        if alive && self.lost.is_none() {
            let mut encoded = Vec::new();
            frame::encode(kind, channel.0, payload, false, &mut encoded).expect("reasons are cut to a small size");
            self.data_bytes += encoded.len();
            self.data.push_back(encoded);
        }
    }

    /// Accepts a channel of the other side, and grants it the window.
    pub fn accept(&mut self, channel: ChannelId, window: Window) {
        if let Some(receiving) = self.receiving.get_mut(&channel).filter(|receiving| receiving.credit.is_none()) {
            receiving.credit = Some(ReceiveCredit::new(window));
            self.grant(channel, window);
        }
    }

    /// Wants no more of a channel. It is forgotten here.
    pub fn reject(&mut self, channel: ChannelId, why: &str) {
        if let Some(receiving) = self.receiving.remove(&channel)
            && !receiving.finished
            && receiving.failure.is_none()
        {
            self.control_frame(Kind::Reject, channel, text(why));
        }
    }

    /// What there is to receive on a channel of the other side. Batches that came before a failure are not given any more.
    pub fn receive(&mut self, channel: ChannelId) -> Received {
        let Some(receiving) = self.receiving.get_mut(&channel) else {
            return Received::Failed(Error::bug(format!("channel {channel} is not open")));
        };
        if let Some(failure) = &receiving.failure {
            return Received::Failed(failure.error());
        }
        let Some(batch) = receiving.batches.pop_front() else {
            return if receiving.finished { Received::Finished } else { Received::Nothing };
        };
        let grant = receiving.credit.as_mut().and_then(|credit| credit.consumed(batch.len() as u64));
        let grant = grant.filter(|_| !receiving.finished);
        grant.into_iter().for_each(|window| self.grant(channel, window));
        Received::Batch(batch)
    }

    /// What has arrived from the other side, and what came of it.
    ///
    /// # Errors
    /// When it is not what the other side may send: then the connection has failed.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>> {
        let mut events = Vec::new();
        self.decoder.feed(bytes);
        while let Some(decoded) = self.decoder.next_frame()? {
            match decoded {
                Decoded::Frame(frame) if !self.greeted => self.greet(&frame)?,
                Decoded::Frame(frame) => self.frame(frame, &mut events)?,
                Decoded::Damaged(_, error) if !self.greeted => return Err(error),
                Decoded::Damaged(channel, error) => self.damaged(ChannelId(channel), &error, &mut events),
            }
            if self.control.len() > CONTROL_QUEUE {
                return Err(Error::transient(format!("{CONTROL_QUEUE} bytes wait to be written: the other side does not read")));
            }
        }
        Ok(events)
    }

    fn greet(&mut self, frame: &Frame) -> Result<()> {
        if frame.kind != Kind::Hello || frame.channel != frame::MAGIC {
            return Err(Error::corrupt("the other side does not speak this protocol"));
        }
        let version = <[u8; 4]>::try_from(frame.payload.as_slice()).map(u32::from_le_bytes);
        if !matches!(version, Ok(frame::VERSION)) {
            let theirs = version.map_or_else(|_| "none".to_owned(), |version| version.to_string());
            return Err(Error::user(format!(
                "the other side speaks version {theirs} of the protocol, this one {}: run the same Brisk on both",
                frame::VERSION
            )));
        }
        self.greeted = true;
        Ok(())
    }

    fn frame(&mut self, frame: Frame, events: &mut Vec<Event>) -> Result<()> {
        let channel = ChannelId(frame.channel);
        match frame.kind {
            Kind::Hello => return Err(Error::corrupt("the other side begins again in the middle")),
            Kind::Open => return self.opened(channel, frame.payload, events),
            Kind::Data => {
                // A channel that has been rejected may have batches under way.
                let Some(receiving) = self.receiving.get_mut(&channel) else { return Ok(()) };
                let arrived = match &mut receiving.credit {
                    Some(credit) => credit.arrived(frame.payload.len() as u64),
                    None => Err(Error::corrupt("a batch came before the channel was accepted")),
                };
                match arrived {
                    Ok(()) if receiving.finished => self.receiving_failed(channel, &Error::corrupt("a batch came behind the end")),
                    Ok(()) => receiving.batches.push_back(frame.payload),
                    Err(error) => self.receiving_failed(channel, &error),
                }
                events.push(Event::Readable(channel));
            }
            Kind::Finish => {
                if let Some(receiving) = self.receiving.get_mut(&channel) {
                    receiving.finished = true;
                    events.push(Event::Readable(channel));
                }
            }
            Kind::Fail => {
                if let Some(receiving) = self.receiving.get_mut(&channel) {
                    let why = format!("the sender has failed: {}", String::from_utf8_lossy(text_of(&frame.payload)));
                    receiving.failure.get_or_insert(Failure { kind: ErrorKind::Transient, message: why });
                    receiving.batches.clear();
                    events.push(Event::Readable(channel));
                }
            }
            Kind::Credit => self.granted(channel, &frame.payload, events),
            Kind::Reject => {
                let why = format!("the receiver wants no more: {}", String::from_utf8_lossy(text_of(&frame.payload)));
                self.sending_failed(channel, Failure { kind: ErrorKind::Transient, message: why }, events);
            }
        }
        Ok(())
    }

    fn opened(&mut self, channel: ChannelId, descriptor: Vec<u8>, events: &mut Vec<Event>) -> Result<()> {
        if self.receiving.contains_key(&channel) {
            return Err(Error::corrupt(format!("the other side opens channel {channel} twice")));
        }
        if self.receiving.len() >= MOST_CHANNELS || descriptor.len() > MOST_TEXT {
            let why = format!("{} channels are open, and the descriptor has {} bytes", self.receiving.len(), descriptor.len());
            self.control_frame(Kind::Reject, channel, why.as_bytes());
            return Ok(());
        }
        self.receiving.insert(channel, Receiving { credit: None, batches: VecDeque::new(), finished: false, failure: None });
        events.push(Event::Opened(channel, descriptor));
        Ok(())
    }

    fn granted(&mut self, channel: ChannelId, payload: &[u8], events: &mut Vec<Event>) {
        // A channel that has ended may have grants under way.
        let Some(sending) = self.sending.get_mut(&channel) else { return };
        let granted = match payload.split_first_chunk::<8>().map(|(bytes, rest)| (u64::from_le_bytes(*bytes), <[u8; 4]>::try_from(rest))) {
            Some((bytes, Ok(batches))) => sending.credit.grant(Window { bytes, batches: u32::from_le_bytes(batches) }),
            _ => Err(Error::corrupt(format!("a grant of {} bytes' length", payload.len()))),
        };
        match granted {
            Ok(()) => self.unblock(channel, events),
            Err(error) => {
                self.sending_failed(channel, Failure::of(&error), events);
                self.control_frame(Kind::Fail, channel, text(&error.to_string()));
            }
        }
    }

    /// A frame of this channel came with a damaged payload. Which side opened the channel is not known: both fail.
    fn damaged(&mut self, channel: ChannelId, error: &Error, events: &mut Vec<Event>) {
        if self.receiving.contains_key(&channel) {
            self.receiving_failed(channel, error);
            events.push(Event::Readable(channel));
        }
        if self.sending.contains_key(&channel) {
            self.sending_failed(channel, Failure::of(error), events);
            self.control_frame(Kind::Fail, channel, text(&error.to_string()));
        }
    }

    /// What the other side sends on a channel of its own is wrong: it is told so.
    fn receiving_failed(&mut self, channel: ChannelId, error: &Error) {
        if let Some(receiving) = self.receiving.get_mut(&channel).filter(|receiving| receiving.failure.is_none()) {
            receiving.failure = Some(Failure::of(error));
            receiving.batches.clear();
            self.control_frame(Kind::Reject, channel, text(&error.to_string()));
        }
    }

    fn sending_failed(&mut self, channel: ChannelId, failure: Failure, events: &mut Vec<Event>) {
        if let Some(sending) = self.sending.get_mut(&channel) {
            sending.failure.get_or_insert(failure);
            self.blocked.remove(&channel);
            events.push(Event::Writable(channel));
        }
    }

    fn unblock(&mut self, channel: ChannelId, events: &mut Vec<Event>) {
        if self.blocked.remove(&channel) {
            events.push(Event::Writable(channel));
        }
    }

    /// The connection is lost: all channels fail.
    pub fn lose(&mut self, error: &Error) -> Vec<Event> {
        let failure = self.lost.get_or_insert_with(|| Failure::of(error)).clone();
        let mut events = Vec::new();
        for (channel, receiving) in &mut self.receiving {
            // What has all arrived is not lost.
            if !receiving.finished {
                receiving.failure.get_or_insert_with(|| failure.clone());
            }
            events.push(Event::Readable(*channel));
        }
        for (channel, sending) in &mut self.sending {
            sending.failure.get_or_insert_with(|| failure.clone());
            events.push(Event::Writable(*channel));
        }
        self.control.clear();
        self.data.clear();
        self.data_bytes = 0;
        events
    }

    /// Appends what is to be written next: all control frames, then batches up to about `most` bytes. Gives the channels that have room again.
    pub fn take_output(&mut self, most: usize, out: &mut Vec<u8>) -> Vec<Event> {
        out.append(&mut self.control);
        let was_full = self.data_bytes >= DATA_QUEUE;
        while out.len() < most
            && let Some(encoded) = self.data.pop_front()
        {
            self.data_bytes -= encoded.len();
            out.extend_from_slice(&encoded);
        }
        if was_full && self.data_bytes < DATA_QUEUE {
            return std::mem::take(&mut self.blocked).into_iter().map(Event::Writable).collect();
        }
        Vec::new()
    }

    /// Whether there is something to be written.
    pub fn has_output(&self) -> bool {
        !self.control.is_empty() || !self.data.is_empty()
    }

    fn grant(&mut self, channel: ChannelId, window: Window) {
        let mut payload = window.bytes.to_le_bytes().to_vec();
        payload.extend_from_slice(&window.batches.to_le_bytes());
        self.control_frame(Kind::Credit, channel, &payload);
    }

    fn control_frame(&mut self, kind: Kind, channel: ChannelId, payload: &[u8]) {
        if self.lost.is_none() {
            frame::encode(kind, channel.0, payload, false, &mut self.control).expect("control frames are small");
        }
    }
}

/// A reason as it is sent: cut, if it is long.
fn text(why: &str) -> &[u8] {
    text_of(why.as_bytes())
}

fn text_of(bytes: &[u8]) -> &[u8] {
    &bytes[..bytes.len().min(MOST_TEXT)]
}

#[cfg(test)]
mod tests;
