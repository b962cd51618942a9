"""Pages with forms, logins, sessions in the database and an admin interface."""

import os

from flask import Flask, abort, redirect, render_template, session, url_for
from flask_admin import Admin
from flask_admin.contrib.sqla import ModelView
from flask_login import LoginManager, UserMixin, current_user, login_required, login_user, logout_user
from flask_session import Session
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect, FlaskForm
from wtforms import PasswordField, StringField
from wtforms.validators import DataRequired, Length

db = SQLAlchemy()
login = LoginManager()
login.login_view = "login_page"


class Member(UserMixin, db.Model):
    __tablename__ = "members_member"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(40), unique=True, nullable=False)


class LoginForm(FlaskForm):
    name = StringField(validators=[DataRequired(), Length(max=40)])
    password = PasswordField(validators=[DataRequired()])


class MemberView(ModelView):
    form_base_class = FlaskForm

    def is_accessible(self):
        return current_user.is_authenticated

    def inaccessible_callback(self, name, **kwargs):
        return redirect(url_for("login_page"))


@login.user_loader
def load_member(identifier):
    return db.session.get(Member, int(identifier))


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    app.config["SECRET_KEY"] = os.environ["SECRET_KEY"]
    app.config["SESSION_TYPE"] = "sqlalchemy"
    app.config["SESSION_SQLALCHEMY"] = db
    app.config["SESSION_SQLALCHEMY_TABLE"] = "members_session"
    db.init_app(app)
    Session(app)
    login.init_app(app)
    CSRFProtect(app)
    Admin(app, name="Members").add_view(MemberView(Member, db.session, endpoint="members"))

    @app.get("/")
    @login_required
    def home():
        session["visits"] = session.get("visits", 0) + 1
        return render_template("home.html", visits=session["visits"])

    @app.route("/login", methods=["GET", "POST"])
    def login_page():
        form = LoginForm()
        if form.validate_on_submit():
            if form.password.data != "correct":
                abort(403)
            member = Member.query.filter_by(name=form.name.data).first()
            if member is None:
                member = Member(name=form.name.data)
                db.session.add(member)
                db.session.commit()
            login_user(member)
            return redirect(url_for("home"))
        return render_template("login.html", form=form), 400 if form.errors else 200

    @app.post("/logout")
    def logout():
        logout_user()
        return redirect(url_for("login_page"))

    @app.cli.command("init-db")
    def init_db():
        db.drop_all()
        db.create_all()

    return app
