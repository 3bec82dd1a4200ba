"""The honest way: request, notice, page, signature, executed once; delivered directly and collected."""

from __future__ import annotations

from story_set import MARCO, MARIA, SABINE, Play, eur, plain


async def direct(play: Play) -> None:
    """39.00 EUR of Maria's order, carried out by the server once she has signed."""
    with play.scene("Maria: refund of 39.00 EUR", refused=False) as scene:
        maria = await play.cast.person(MARIA)
        wanted = {"account": MARIA.email, "order_id": "NL-26017", "amount": eur("39.00")}
        scene.model("request_refund(account=Maria, order_id=NL-26017, amount=39.00 EUR)")
        asked = await play.assistant.call("request_refund", **wanted, note="The lampshade arrived dented.")
        scene.server(plain(asked))
        page = await maria.open_request()
        scene.person("Maria", f"opens the link of the message to {MARIA.email} and signs in with her passkey")
        scene.expect("49.90 EUR" in page and "10.90 EUR" in page, "the page shows what would be left")
        scene.person("Maria", "reads: Left to refund, now 49.90 EUR, afterwards 10.90 EUR; goes to Visa ending 4242")
        await maria.decide("approve", asked["match_code"])
        scene.person("Maria", f"types the code {asked['match_code']} from the chat, and signs with her passkey")
        ended = await play.assistant.outcome(asked["ticket"])
        scene.model("ticket_status(ticket)")
        scene.server(f"{ended['status']}: {ended.values['outcome']['summary']}")
        scene.expect(ended["status"] == "executed", "it is executed")
        again = await play.assistant.call("request_refund", **wanted)
        scene.expect(again["ticket"] == asked["ticket"], "asking again gives the same ticket")
        message = await maria.new_message("was carried out")
        scene.person("Maria", f"is told: {message.subject}")
        scene.why = "Maria signed it"
        play.happened_once(scene, asked["ticket"])


async def collected(play: Play) -> None:
    """12.50 EUR of store credit for Marco, carried out when the assistant redeems the ticket."""
    with play.scene("Marco: credit of 12.50 EUR", refused=False) as scene:
        marco = await play.cast.person(MARCO)
        scene.model("request_goodwill_credit(account=Marco, amount=12.50 EUR, reason=The rug came a week late)")
        asked = await play.assistant.call(
            "request_goodwill_credit", account=MARCO.email, amount=eur("12.50"), reason="The rug came a week late"
        )
        early = await play.assistant.call("ticket_status", ticket=asked["ticket"])
        scene.expect("capability" not in early.values, "no capability before people have signed")
        await marco.open_request()
        await marco.decide("approve", asked["match_code"])
        scene.person("Marco", "reads the page, types the code and signs")
        approved = await play.assistant.call("ticket_status", ticket=asked["ticket"])
        scene.expect(approved.values.get("status") == "approved", "it is approved")
        scene.server(f"{plain(approved)} It hands out a capability.")
        scene.expect(play.books.unchanged, "nothing happens before the ticket is redeemed")
        scene.model("redeem_ticket(ticket, capability)")
        capability = str(approved.values.get("capability"))
        ended = await play.assistant.call("redeem_ticket", ticket=asked["ticket"], capability=capability)
        scene.server(f"{ended['status']}: {ended.values['outcome']['summary']}")
        scene.expect(ended["status"] == "executed", "it is executed")
        again = await play.assistant.call("redeem_ticket", ticket=asked["ticket"], capability=capability)
        scene.server(f"to the same call once more: {plain(again)}")
        scene.expect(not again.ok, "a second redemption is refused")
        scene.why = "Marco signed it"
        play.happened_once(scene, asked["ticket"])


async def unlocked(play: Play) -> None:
    """Sabine mistyped her password; the policy lifts her lock, and would change nothing else on her account."""
    with play.scene("Sabine: account unlocked", refused=False) as scene:
        sabine = await play.cast.person(SABINE)
        scene.model("request_unlock_account(account=Sabine)")
        asked = await play.assistant.call("request_unlock_account", account=SABINE.email)
        page = await sabine.open_request()
        scene.expect("too many failed sign-ins" in page and "12 wrong passwords" in page, "the page shows the lock")
        scene.person(
            "Sabine", "reads: Locked because: too many failed sign-ins; 12 wrong passwords in 9 minutes, from her iPad"
        )
        await sabine.decide("approve", asked["match_code"])
        scene.person("Sabine", "knows that those were hers, types the code from the chat and signs")
        ended = await play.assistant.outcome(asked["ticket"])
        scene.server(f"{ended['status']}: {ended.values['outcome']['summary']}")
        scene.expect(ended["status"] == "executed", "it is executed")
        scene.why = "Sabine signed it"
        play.happened_once(scene, asked["ticket"])
