//! Made-up X v2 stream lines, the same for the same number.

/// One line of about 1.2 KB; every third is a repost with its original among the includes.
pub(crate) fn stream_line(n: u64) -> String {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let id = ((1_700_000_000_000 + n * 5 - 1_288_834_974_657) << 22) | (n & 0xfff);
    let (author, lang) = (mixed % 50_000, ["en", "fr", "ja", "es", "pt"][(mixed % 5) as usize]);
    let (region, tag) = (["montreal", "toronto", "paris", "tokyo", "nyc"][(mixed / 7 % 5) as usize], mixed / 11 % 3000);
    let text = "a day like any other, with a match tonight and rain tomorrow 🚀 déjà vu";
    let is_repost = n.is_multiple_of(3);
    let referenced = if is_repost {
        format!(r#""referenced_tweets":[{{"type":"retweeted","id":"{}"}}],"#, id - 5_000_000)
    } else {
        String::new()
    };
    let original = if is_repost {
        format!(
            r#""tweets":[{{"id":"{}","text":"{text} #Tag{tag}","entities":{{"hashtags":[{{"start":60,"end":66,"tag":"Tag{tag}"}}]}}}}],"#,
            id - 5_000_000
        )
    } else {
        String::new()
    };
    format!(
        concat!(
            r#"{{"data":{{"id":"{id}","text":"{text} #Tag{tag} https://t.co/x1y2z3","created_at":"2023-11-14T22:13:20.000Z","#,
            r#""author_id":"{author}","conversation_id":"{id}","lang":"{lang}","possibly_sensitive":false,{referenced}"#,
            r#""edit_history_tweet_ids":["{id}"],"public_metrics":{{"retweet_count":0,"reply_count":0,"like_count":0,"quote_count":0,"impression_count":7}},"#,
            r#""entities":{{"hashtags":[{{"start":60,"end":66,"tag":"Tag{tag}"}}],"mentions":[{{"start":0,"end":6,"username":"someone","id":"17"}}],"#,
            r#""urls":[{{"start":70,"end":93,"url":"https://t.co/x1y2z3","expanded_url":"https://news.example/article/{tag}","display_url":"news.example/article/{tag}"}}]}}}},"#,
            r#""includes":{{{original}"users":[{{"id":"{author}","name":"Somebody","username":"somebody","created_at":"2010-01-01T00:00:00.000Z","description":"a few words about the one who writes, and some more","verified":false,"public_metrics":{{"followers_count":123,"following_count":321,"tweet_count":4567,"listed_count":2}}}}]}},"#,
            r#""matching_rules":[{{"id":"1400000000000000001","tag":"{region}"}}]}}"#
        ),
        id = id,
        text = text,
        tag = tag,
        author = author,
        lang = lang,
        referenced = referenced,
        original = original,
        region = region
    )
}
