use super::*;

fn minutes(minutes: u32) -> Scale {
    Scale::from(WindowSize::from_secs(minutes * 60).unwrap())
}

#[test]
fn spans_follow_the_window_size() {
    let spans = |m| {
        let scale = minutes(m);
        (scale.day, scale.sum, scale.around, scale.recent)
    };
    assert_eq!(spans(1), (1440, 15, 30, 120));
    assert_eq!(spans(5), (288, 3, 6, 24));
    assert_eq!(spans(15), (96, 1, 2, 8));
    assert_eq!(spans(45), (32, 1, 1, 2));
    assert_eq!(spans(60), (24, 1, 1, 2));
}
