//! What becomes of conversations and their items, and who sees them.

use praxis_core::Clearance;
use serde_json::json;

use super::*;
use crate::tests::store;

const NOW: i64 = 1_774_948_000;

const ROOMY: ConversationBounds = ConversationBounds {
    items: 100,
    bytes: 10_000,
};

pub(crate) fn key(name: &str, labels: &[&str]) -> Caller {
    Caller {
        name: Some(name.to_owned()),
        clearance: Clearance::of(labels.iter().copied()),
    }
}

pub(crate) fn items(ids: &[&str]) -> Vec<StoredItem> {
    let item = |id: &&str| StoredItem {
        id: (*id).to_owned(),
        body: json!({ "id": id }),
    };
    ids.iter().map(item).collect()
}

fn new(id: &str) -> Conversation {
    Conversation {
        id: id.to_owned(),
        metadata: BTreeMap::from([("topic".to_owned(), "demo".to_owned())]),
        created: NOW,
        active: NOW,
        items: 0,
        bytes: 0,
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .filter_map(|item| item["id"].as_str())
        .collect()
}

fn page(limit: usize, descending: bool, after: Option<&str>) -> Page {
    Page {
        limit,
        descending,
        after: after.map(str::to_owned),
        before: None,
    }
}

#[tokio::test]
async fn who_made_a_conversation_sees_it_and_who_may_read_everything() {
    let (_dir, store) = store().await;
    let hr = key("hr", &["hr"]);
    store
        .put_conversation(&new("c"), &hr, &items(&["a"]))
        .await
        .unwrap();
    for (reader, sees) in [
        (hr.clone(), true),
        (Caller::full(), true),
        (key("it", &["hr"]), false),
        (key("hr", &["hr", "legal"]), false),
        (Caller::default(), false),
    ] {
        let found = store.conversation("c", &reader).await.unwrap();
        assert_eq!(found.is_some(), sees, "{reader:?}");
        if !sees {
            let metadata = BTreeMap::new();
            let changed = store.set_conversation_metadata("c", &reader, &metadata, NOW);
            assert_eq!(changed.await.unwrap(), None);
            let more = items(&["x"]);
            let added = store.add_conversation_items("c", &reader, &more, ROOMY, NOW);
            assert_eq!(added.await.unwrap(), ItemsAdded::Gone);
            assert!(!store.delete_conversation("c", &reader).await.unwrap());
        }
    }
    store
        .put_conversation(&new("mine"), &Caller::full(), &[])
        .await
        .unwrap();
    assert_eq!(store.conversation("mine", &hr).await.unwrap(), None);
    assert!(store.delete_conversation("c", &hr).await.unwrap());
    assert!(store.all_conversation_items("c").await.unwrap().is_empty());
}

#[tokio::test]
async fn items_keep_their_order_and_pages_go_on_behind_one_that_was_deleted() {
    let (_dir, store) = store().await;
    let all = Caller::full();
    store
        .put_conversation(&new("c"), &all, &items(&["z", "b"]))
        .await
        .unwrap();
    let more = items(&["a", "y"]);
    let added = store.add_conversation_items("c", &all, &more, ROOMY, NOW + 5);
    assert_eq!(added.await.unwrap(), ItemsAdded::All);
    let found = store.conversation("c", &all).await.unwrap().unwrap();
    assert_eq!((found.items, found.active), (4, NOW + 5));
    let everything = store.all_conversation_items("c").await.unwrap();
    assert_eq!(ids(&everything), ["z", "b", "a", "y"]);
    for (asked, wanted, more) in [
        (page(3, false, None), &["z", "b", "a"][..], true),
        (page(3, true, None), &["y", "a", "b"], true),
        (page(3, true, Some("a")), &["b", "z"], false),
    ] {
        let found = store
            .conversation_items("c", &asked)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((ids(&found.items), found.has_more), (wanted.to_vec(), more));
    }
    assert!(store.delete_conversation_item("c", "b", NOW).await.unwrap());
    assert!(!store.delete_conversation_item("c", "b", NOW).await.unwrap());
    assert_eq!(store.conversation_item("c", "b").await.unwrap(), None);
    let found = store
        .conversation_items("c", &page(3, false, Some("b")))
        .await
        .unwrap();
    assert_eq!(ids(&found.unwrap().items), ["a", "y"]);
    let unknown = store
        .conversation_items("c", &page(3, false, Some("never")))
        .await
        .unwrap();
    assert_eq!(unknown, None);
    let found = store.conversation("c", &all).await.unwrap().unwrap();
    let sizes = ["z", "a", "y"].map(|id| json!({ "id": id }).to_string().len() as u64);
    assert_eq!((found.items, found.bytes), (3, sizes.iter().sum::<u64>()));
}

#[tokio::test]
async fn a_conversation_has_bounds_and_each_id_once() {
    let (_dir, store) = store().await;
    let all = Caller::full();
    store
        .put_conversation(&new("c"), &all, &items(&["a"]))
        .await
        .unwrap();
    let few = ConversationBounds { items: 2, ..ROOMY };
    let small = ConversationBounds { bytes: 20, ..ROOMY };
    for (added, bounds, wanted) in [
        (&["b", "c"][..], few, ItemsAdded::Full),
        (&["b", "c"], small, ItemsAdded::Full),
        (&["b", "a"], ROOMY, ItemsAdded::Taken("a".to_owned())),
        (&["b"], few, ItemsAdded::All),
    ] {
        let more = items(added);
        let found = store.add_conversation_items("c", &all, &more, bounds, NOW);
        assert_eq!(found.await.unwrap(), wanted, "{added:?}");
    }
    // A turn that has ended has been said: it is added beyond bounds, and what is there once.
    store
        .extend_conversation("c", &items(&["a", "b", "c"]), NOW)
        .await
        .unwrap();
    let everything = store.all_conversation_items("c").await.unwrap();
    assert_eq!(ids(&everything), ["a", "b", "c"]);
    store
        .extend_conversation("gone", &items(&["a"]), NOW)
        .await
        .unwrap();
    assert!(
        store
            .all_conversation_items("gone")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_nobody_uses_is_swept_a_few_at_a_time() {
    let (_dir, store) = store().await;
    let all = Caller::full();
    for (id, active) in [("a", NOW), ("b", NOW + 1), ("c", NOW + 2), ("d", NOW + 9)] {
        let new = Conversation { active, ..new(id) };
        store
            .put_conversation(&new, &all, &items(&["x"]))
            .await
            .unwrap();
    }
    assert_eq!(store.sweep_conversations(NOW + 2, 2).await.unwrap(), 2);
    assert_eq!(store.sweep_conversations(NOW + 2, 2).await.unwrap(), 1);
    assert_eq!(store.sweep_conversations(NOW + 2, 2).await.unwrap(), 0);
    assert!(store.conversation("d", &all).await.unwrap().is_some());
}
