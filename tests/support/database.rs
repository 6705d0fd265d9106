//! A database server in memory: enough of MySQL's protocol for a client to log in, in clear, and to ask how many tables
//! there are. Strict: a login must be right, and any other statement is an error that names it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reemo_transport::stream::AnyStream;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const QUERY: &str =
    "SELECT VERSION(), (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE())";
/// What the client mixes its password with; a real server takes another one each time.
const NONCE: &[u8; 20] = b"abcdefghijklmnopqrst";
/// Long passwords, a database at login, protocol 4.1, transactions, authentication by a named method.
const ABLE: u32 = 0x1 | 0x8 | 0x200 | 0x2000 | 0x8000 | 0x8_0000;

/// The server. Cheap to clone; clones are the same.
#[derive(Clone)]
pub struct Database(Arc<Mutex<State>>);

/// What it is and holds.
pub struct State {
    pub user: String,
    pub password: String,
    pub name: String,
    pub version: String,
    pub tables: u64,
    /// Who connected.
    pub connections: usize,
    /// What was asked and is not known here.
    pub unknown: Vec<String>,
}

impl Database {
    /// An empty one.
    pub fn new(user: &str, password: &str, name: &str) -> Database {
        let (user, password, name) = (user.to_owned(), password.to_owned(), name.to_owned());
        let version = "8.0.40-0ubuntu0.24.04.1".to_owned();
        Database(Arc::new(Mutex::new(State {
            user,
            password,
            name,
            version,
            tables: 0,
            connections: 0,
            unknown: vec![],
        })))
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the schema job does.
    pub fn fill(&self) {
        self.state().tables = 7;
    }

    /// Serves one connection.
    pub fn serve(&self, stream: AnyStream) {
        self.state().connections += 1;
        let server = self.clone();
        tokio::spawn(async move {
            // A client that goes away ends it.
            let _ = server.talk(Wire { stream, number: 0 }).await;
        });
    }

    async fn talk(&self, mut wire: Wire) -> std::io::Result<()> {
        let mut hello = vec![10];
        hello.extend_from_slice(format!("{}\0", self.state().version).as_bytes());
        hello.extend_from_slice(&1u32.to_le_bytes());
        hello.extend_from_slice(&NONCE[..8]);
        hello.push(0);
        hello.extend_from_slice(&(ABLE as u16).to_le_bytes());
        hello.push(45);
        hello.extend_from_slice(&2u16.to_le_bytes());
        hello.extend_from_slice(&((ABLE >> 16) as u16).to_le_bytes());
        hello.push(21);
        hello.extend_from_slice(&[0; 10]);
        hello.extend_from_slice(&NONCE[8..]);
        hello.extend_from_slice(b"\0mysql_native_password\0");
        wire.send(&hello).await?;
        let login = wire.receive().await?;
        if let Err((code, state, message)) = self.login(&login) {
            return wire.error(code, state, &message).await;
        }
        wire.send(&[0, 0, 0, 2, 0, 0, 0]).await?;
        loop {
            wire.number = 0;
            let command = wire.receive().await?;
            let text = String::from_utf8_lossy(&command[1..]).into_owned();
            match command[0] {
                1 => return Ok(()),
                3 if text == QUERY => {
                    let (version, tables) = {
                        let state = self.state();
                        (state.version.clone(), state.tables.to_string())
                    };
                    wire.row(&[(253, &version), (8, &tables)]).await?;
                }
                other => {
                    self.state().unknown.push(format!("{other} {text}"));
                    wire.error(1047, "08S01", &format!("not known here: {other} {text}")).await?;
                }
            }
        }
    }

    /// `HandshakeResponse41`, checked as the server does.
    fn login(&self, packet: &[u8]) -> Result<(), (u16, &'static str, String)> {
        let mut rest = &packet[32..];
        let mut text = || {
            let end = rest.iter().position(|b| *b == 0).unwrap();
            let found = String::from_utf8_lossy(&rest[..end]).into_owned();
            rest = &rest[end + 1..];
            found
        };
        let user = text();
        let (length, after) = (usize::from(rest[0]), &rest[1..]);
        let (shown, after) = after.split_at(length);
        let name = String::from_utf8_lossy(after.split(|b| *b == 0).next().unwrap()).into_owned();
        let state = self.state();
        let once = Sha1::digest(state.password.as_bytes());
        let mixed = Sha1::new().chain_update(NONCE).chain_update(Sha1::digest(once)).finalize();
        let right: Vec<u8> = once.iter().zip(mixed).map(|(a, b)| a ^ b).collect();
        if user != state.user || shown != right {
            return Err((1045, "28000", format!("Access denied for user '{user}' (using password: YES)")));
        }
        match name == state.name {
            true => Ok(()),
            false => Err((1049, "42000", format!("Unknown database '{name}'"))),
        }
    }
}

/// Packets: three bytes of length, a number, the content.
struct Wire {
    stream: AnyStream,
    number: u8,
}

impl Wire {
    async fn receive(&mut self) -> std::io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head).await?;
        self.number = head[3].wrapping_add(1);
        let mut body = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        self.stream.read_exact(&mut body).await?;
        Ok(body)
    }

    async fn send(&mut self, body: &[u8]) -> std::io::Result<()> {
        let mut packet = (body.len() as u32).to_le_bytes();
        packet[3] = self.number;
        self.number = self.number.wrapping_add(1);
        self.stream.write_all(&[&packet[..], body].concat()).await?;
        self.stream.flush().await
    }

    async fn error(&mut self, code: u16, state: &str, message: &str) -> std::io::Result<()> {
        let mut body = vec![0xff];
        body.extend_from_slice(&code.to_le_bytes());
        body.extend_from_slice(format!("#{state}{message}").as_bytes());
        self.send(&body).await
    }

    /// One row as text: of each column its type and value.
    async fn row(&mut self, columns: &[(u8, &str)]) -> std::io::Result<()> {
        const END: [u8; 5] = [0xfe, 0, 0, 2, 0];
        self.send(&[columns.len() as u8]).await?;
        for (kind, _) in columns {
            let mut column: Vec<u8> = [&b"\x03def"[..], &[0, 0, 0, 1], b"c", &[0, 0x0c, 45, 0]].concat();
            column.extend_from_slice(&255u32.to_le_bytes());
            column.extend_from_slice(&[*kind, 0, 0, 0, 0, 0]);
            self.send(&column).await?;
        }
        self.send(&END).await?;
        let row: Vec<u8> = columns.iter().flat_map(|(_, v)| [&[v.len() as u8][..], v.as_bytes()].concat()).collect();
        self.send(&row).await?;
        self.send(&END).await
    }
}
