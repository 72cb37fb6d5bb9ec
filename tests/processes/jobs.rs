//! Two jobs on one machine.

use std::{
    io::{Read, Write},
    os::unix::net::{UnixListener, UnixStream},
};

use tidings_testkit::PrivateDir;

use crate::{
    harness::Case,
    place::{Over, Place},
    programs::{GATE, JOB},
    remote::PATIENCE,
};

/// The variable that says where the server is.
pub(crate) const SERVER: &str = "TIDINGS_TEST_SERVER";

pub(crate) fn cases() -> Vec<Case> {
    let case = |over: Over, program: &'static str| {
        Case::always(format!("{}::two_jobs_with_defaults_do_not_hear_each_other", over.name()), move || {
            two_jobs(program, &[])
        })
    };
    vec![case(Over::Ipc, "job"), case(Over::Tcp, "job over tcp")]
}

/// Waits until every main has come this far, then lets all go on.
fn open(gates: &mut [UnixStream]) {
    gates.iter_mut().for_each(|gate| gate.read_exact(&mut [0]).unwrap());
    gates.iter_mut().for_each(|gate| gate.write_all(&[1]).unwrap());
}

pub(crate) fn two_jobs(program: &'static str, settings: &[(&'static str, String)]) -> String {
    let (place, elsewhere) = (Place::new(), PrivateDir::new());
    let path = elsewhere.join("gate");
    let gate = UnixListener::bind(&path).unwrap();
    let variables = |job: u32| {
        let own = [(GATE, path.display().to_string()), (JOB, job.to_string())];
        [&own, settings].concat()
    };
    let mut launchers = [0, 1].map(|job| place.start(program, &variables(job)));
    let mut gates: Vec<_> = (0..4)
        .map(|_| {
            let (stream, _) = gate.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        })
        .collect();
    (0..3).for_each(|_| open(&mut gates));
    for (job, launcher) in launchers.iter_mut().enumerate() {
        for node in 0..2 {
            let (_, heard) = launcher.line(&format!("job {job} node {node} "));
            assert_eq!(heard, "own 100 foreign 0");
        }
        assert_eq!(launcher.end(), 0);
    }
    place.assert_empty();
    String::new()
}
