//! A world as a library: two telephones and the PBX between them (SIM-20).

use pbx::time::Duration;
use simulator::ear;
use simulator::phone::{Answering, Sound};
use simulator::world::play;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn two_telephones_talk() {
    play(7, async |stage| {
        let (alice, bob) = (stage.phone("alice").await, stage.phone("bob").await);
        bob.habits(|habits| habits.answering = Answering::After(2 * SECOND));
        alice.register();
        bob.register();
        stage.pass(SECOND).await;
        assert!(alice.is_registered() && bob.is_registered(), "{}", stage.trace().text());
        alice.call("bob");
        stage.pass(SECOND).await;
        assert!(bob.is_ringing(), "{}", stage.trace().text());
        stage.pass(3 * SECOND).await;
        for (listener, speaker) in [(&alice, &bob), (&bob, &alice)] {
            let Sound::Tone(voice) = speaker.voice() else { panic!("people say something") };
            let heard = listener.heard_lately(Duration::from_millis(200));
            assert!(ear::share(&heard, voice) > 0.9, "{} does not hear {}", listener.name(), speaker.name());
        }
        alice.hang_up();
        stage.pass(40 * SECOND).await;
        assert!(stage.office.is_idle() && alice.is_idle() && bob.is_idle());
        assert_eq!(stage.office.records().len(), 1);
    });
}
