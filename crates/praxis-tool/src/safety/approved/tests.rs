//! A call that waited is made by the id of its approval, once, by who asked for it.

use praxis_core::Effect;
use praxis_core::approval::Decision;

use super::super::guarded::tests::{Shop, World, cx, order, waits_for};
use super::*;

fn by(id: &str) -> Value {
    json!({ "approval": id })
}

#[tokio::test]
async fn an_id_is_enough_to_make_the_call_once() {
    let world = World::new().await;
    let shop = Arc::new(Shop::new("shop/order", &[Effect::Write]));
    let order_it = world.guarded(&shop, "");
    let approved = Approved::new(&[Arc::clone(&order_it)], Arc::clone(&world.approvals));
    let id = waits_for(&order_it.call(order(), &cx("hr")).await);
    assert_eq!(waits_for(&approved.call(by(&id), &cx("hr")).await), id);
    world.decide(&id, Decision::Approve).await;
    // It is nobody else's, and no other id is one.
    for (id, name) in [(id.as_str(), "it"), ("approval-0", "hr"), ("", "hr")] {
        let error = approved.call(by(id), &cx(name)).await.unwrap_err();
        assert_eq!(error.code, ErrorCode::NotFound, "{error}");
    }
    assert_eq!(shop.runs(), 0);
    let given = approved.call(by(&id), &cx("hr")).await.unwrap();
    assert_eq!(given["sold"], true);
    // However often it is asked, and whoever made it, the result is that of the first time.
    for _ in 0..2 {
        let again = approved.call(by(&id), &cx("hr")).await.unwrap();
        assert_eq!(again, given);
    }
    assert_eq!(shop.runs(), 1);
    let id = waits_for(&order_it.call(order(), &cx("hr")).await);
    world.decide(&id, Decision::Approve).await;
    order_it.call(order(), &cx("hr")).await.unwrap();
    approved.call(by(&id), &cx("hr")).await.unwrap();
    assert_eq!(shop.runs(), 2);
}

/// A call waits because of what was read before, and is approved; the next request has read nothing, so that the policy
/// would ask nobody.
#[tokio::test]
async fn an_approval_is_used_up_where_none_would_be_needed_by_now() {
    let world = World::new().await;
    let shop = Arc::new(Shop::new("shop/order", &[Effect::Write]));
    let order_it = world.guarded(&shop, "approval = \"never\"");
    let approved = Approved::new(&[Arc::clone(&order_it)], Arc::clone(&world.approvals));
    let wait = async || {
        let tainted = cx("hr");
        tainted.taint().mark("web/page");
        let id = waits_for(&order_it.call(order(), &tainted).await);
        world.decide(&id, Decision::Approve).await;
        (id, tainted)
    };
    let (id, tainted) = wait().await;
    let given = approved.call(by(&id), &cx("hr")).await.unwrap();
    for _ in 0..3 {
        assert_eq!(approved.call(by(&id), &cx("hr")).await.unwrap(), given);
    }
    assert_eq!(shop.runs(), 1);
    // Nor does it let another call of that tree through.
    assert_ne!(waits_for(&order_it.call(order(), &tainted).await), id);

    // A call of the function itself uses it up as well.
    let (id, _) = wait().await;
    order_it.call(order(), &cx("hr")).await.unwrap();
    assert_eq!(shop.runs(), 2);
    approved.call(by(&id), &cx("hr")).await.unwrap();
    assert_eq!(shop.runs(), 2);
    // Without an approval that stands, nobody is asked.
    order_it.call(order(), &cx("hr")).await.unwrap();
    assert_eq!(shop.runs(), 3);
}

#[tokio::test]
async fn an_approval_is_for_the_call_that_was_shown() {
    let world = World::new().await;
    let shop = Arc::new(Shop::new("shop/order", &[Effect::Write]));
    let order_it = world.guarded(&shop, "");
    let wanted = json!({ "what": "a book", "amount": 2 });
    let id = waits_for(&order_it.call(wanted, &cx("hr")).await);
    world.decide(&id, Decision::Approve).await;
    // The amount is a text by now, so that another call would come of the same arguments.
    let mut changed = Shop::new("shop/order", &[Effect::Write]);
    changed.is_text("amount");
    let changed = Arc::new(changed);
    let now = world.guarded(&changed, "");
    let approved = Approved::new(&[now], Arc::clone(&world.approvals));
    let error = approved.call(by(&id), &cx("hr")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied, "{error}");
    assert_eq!((shop.runs(), changed.runs()), (0, 0));
}

#[tokio::test]
async fn what_was_refused_stays_refused() {
    let world = World::new().await;
    let shop = Arc::new(Shop::new("shop/order", &[Effect::Write]));
    let order_it = world.guarded(&shop, "");
    let approved = Approved::new(&[Arc::clone(&order_it)], Arc::clone(&world.approvals));
    let id = waits_for(&order_it.call(order(), &cx("hr")).await);
    world.decide(&id, Decision::Deny).await;
    let error = approved.call(by(&id), &cx("hr")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::Denied, "{error}");
    let none = Approved::new(&[], Arc::clone(&world.approvals));
    let error = none.call(by(&id), &cx("hr")).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::NotFound, "{error}");
    let error = approved
        .call(json!({ "id": id }), &cx("hr"))
        .await
        .unwrap_err();
    assert_eq!(error.code, ErrorCode::InvalidRequest, "{error}");
    assert_eq!(shop.runs(), 0);
}
